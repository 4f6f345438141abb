// SPDX-License-Identifier: Apache-2.0
#include "policyfile/tree.h"

#include <map>
#include <sstream>
#include <unordered_map>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "policyfile/plain.h"

namespace sluice::policyfile {

namespace {

struct Stop { // what ends the parsing at once
    Place place;
    std::string text;
};

Place place_of(const YAML::Mark &mark, int source) {
    return {source, mark.line + 1, mark.column + 1};
}

std::size_t size_of(const Node &node) {
    std::size_t size = 1;
    for (const auto &item : node.items)
        size += size_of(item);
    return size;
}

class Builder : public YAML::EventHandler {
public:
    Builder(int source, Problems &problems, const Limits &limits)
        : source_(source), problems_(problems), limits_(limits) {}

    std::optional<Node> root;

    void OnDocumentStart(const YAML::Mark &) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark &mark, YAML::anchor_t anchor) override {
        put(node_at(mark, Node::Kind::null), anchor);
    }
    void OnScalar(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                  const std::string &value) override {
        check_tag(mark, tag);
        Node node = node_at(mark, Node::Kind::scalar);
        node.text = value;
        node.quoted = tag == "!";
        put(std::move(node), anchor);
    }
    void OnAlias(const YAML::Mark &mark, YAML::anchor_t anchor) override {
        const auto known = anchors_.find(anchor);
        if (known == anchors_.end())
            throw Stop{place_of(mark, source_), "an alias inside what it stands for"};
        const std::size_t size = size_of(known->second);
        alias_nodes_ += size;
        if (alias_nodes_ > limits_.alias_nodes)
            throw Stop{place_of(mark, source_), "the aliases stand for too much: more than " +
                                                    std::to_string(limits_.alias_nodes) +
                                                    " values"};
        count(size, place_of(mark, source_));
        Node copy = known->second;
        put_counted(std::move(copy), 0);
    }
    void OnSequenceStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Node::Kind::list);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Node::Kind::map);
    }
    void OnMapEnd() override {
        check_keys(open_.back().node);
        close();
    }

private:
    struct Open {
        Node node;
        YAML::anchor_t anchor;
    };

    [[nodiscard]] Node node_at(const YAML::Mark &mark, Node::Kind kind) const {
        Node node;
        node.kind = kind;
        node.place = place_of(mark, source_);
        return node;
    }

    void check_tag(const YAML::Mark &mark, const std::string &tag) const {
        if (tag.empty() || tag == "?" || tag == "!" || tag.starts_with("tag:yaml.org,2002:"))
            return;
        throw Stop{place_of(mark, source_), "the tag '" + tag + "' has no meaning here"};
    }

    void count(std::size_t nodes, Place place) {
        nodes_ += nodes;
        if (nodes_ > limits_.nodes)
            throw Stop{place,
                       "the file holds more than " + std::to_string(limits_.nodes) + " values"};
    }

    void open(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
              Node::Kind kind) {
        check_tag(mark, tag);
        if (static_cast<int>(open_.size()) >= limits_.depth)
            throw Stop{place_of(mark, source_),
                       "nested deeper than " + std::to_string(limits_.depth) + " levels"};
        open_.push_back({node_at(mark, kind), anchor});
    }

    void close() {
        Open done = std::move(open_.back());
        open_.pop_back();
        put(std::move(done.node), done.anchor);
    }

    void put(Node node, YAML::anchor_t anchor) {
        count(1, node.place);
        put_counted(std::move(node), anchor);
    }

    void put_counted(Node node, YAML::anchor_t anchor) {
        if (anchor != 0) anchors_[anchor] = node;
        if (open_.empty())
            root = std::move(node);
        else
            open_.back().node.items.push_back(std::move(node));
    }

    void check_keys(const Node &map) {
        std::unordered_map<std::string, int> lines;
        for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
            const Node &key = map.items[i];
            if (!key.is_scalar()) throw Stop{key.place, "a key must be a word"};
            const auto [at, is_new] = lines.emplace(key.text, key.place.line);
            if (!is_new)
                problems_.add(key.place, "'" + key.text + "' is given twice, first in line " +
                                             std::to_string(at->second));
        }
    }

    int source_;
    Problems &problems_;
    Limits limits_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, Node> anchors_;
    std::size_t nodes_ = 0, alias_nodes_ = 0;
};

// The parser would read UTF-16 too and lets broken sequences pass; a policy file is UTF-8.
std::optional<std::size_t> first_bad_byte(const std::string &text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        const std::size_t length = c < 0x80                ? 1
                                   : c >= 0xc2 && c < 0xe0 ? 2
                                   : c >= 0xe0 && c < 0xf0 ? 3
                                   : c >= 0xf0 && c < 0xf5 ? 4
                                                           : 0;
        const bool control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
        if (length == 0 || control || i + length > text.size()) return i;
        for (std::size_t k = 1; k < length; ++k)
            if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return i;
        i += length;
    }
    return std::nullopt;
}

Place place_at(const std::string &text, std::size_t offset, int source) {
    Place place{source, 1, 1};
    for (std::size_t i = 0; i < offset; ++i) {
        ++place.column;
        if (text[i] != '\n') continue;
        ++place.line;
        place.column = 1;
    }
    return place;
}

std::optional<Node> parsed(const Source &source, int number, Problems &problems,
                           const Limits &limits) {
    std::istringstream stream(source.text);
    YAML::Parser parser(stream);
    Builder builder(number, problems, limits);
    if (!parser.HandleNextDocument(builder) || !builder.root) {
        problems.add({number, 0, 0}, "the file is empty");
        return std::nullopt;
    }
    Builder second(number, problems, limits);
    if (parser.HandleNextDocument(second) && second.root)
        problems.add(second.root->place, "a second document: a policy file is one");
    return std::move(builder.root);
}

} // namespace

std::optional<Node> parse_tree(const Sources &sources, int source, Problems &problems,
                               const Limits &limits) {
    const Source &from = sources[static_cast<std::size_t>(source)];
    if (const auto bad = first_bad_byte(from.text)) {
        problems.add(place_at(from.text, *bad, source), "a byte that is not UTF-8 text");
        return std::nullopt;
    }
    if (auto plain = parse_plain(from.text, source, limits)) return plain;
    return parse_any(sources, source, problems, limits);
}

std::optional<Node> parse_any(const Sources &sources, int source, Problems &problems,
                              const Limits &limits) {
    try {
        return parsed(sources[static_cast<std::size_t>(source)], source, problems, limits);
    } catch (const YAML::Exception &e) {
        problems.add(e.mark.is_null() ? Place{source, 0, 0} : place_of(e.mark, source), e.msg);
    } catch (const Stop &stop) {
        problems.add(stop.place, stop.text);
    }
    return std::nullopt;
}

} // namespace sluice::policyfile
