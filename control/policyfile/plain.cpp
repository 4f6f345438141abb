// SPDX-License-Identifier: Apache-2.0
#include "policyfile/plain.h"

#include <algorithm>
#include <unordered_set>

namespace sluice::policyfile {

namespace {

struct NotPlain {};

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool in_key(char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.';
}
// What a scalar within a flow collection may consist of, beside single spaces.
bool in_flow(char c) {
    return in_key(c) || c == '/' || c == ':' || c == '+';
}
bool is_null(std::string_view text) {
    return text == "~" || text == "null" || text == "Null" || text == "NULL";
}

class PlainReader {
public:
    PlainReader(std::string_view text, int source, const Limits &limits)
        : text_(text), source_(source), limits_(limits) {}

    Node read() {
        begin_line(0);
        if (!end_ && column() == 0 && rest_of_line() == "---") next_line();
        if (end_) throw NotPlain();
        Node root = block();
        if (!end_) throw NotPlain();
        return root;
    }

private:
    // ---- lines ----

    // The first line from here on that says something.
    void begin_line(std::size_t at) {
        for (; at < text_.size(); ++line_) {
            line_begin_ = at;
            line_end_ = std::min(text_.find('\n', at), text_.size());
            at_ = std::min(text_.find_first_not_of(' ', at), line_end_);
            if (at_ != line_end_ && text_[at_] != '#') return;
            at = line_end_ + 1;
        }
        end_ = true;
    }
    void next_line() {
        ++line_;
        begin_line(line_end_ + 1);
    }
    // To the next line: nothing but a comment may stand in the rest of this one.
    void finish_line() {
        if (!is_over()) throw NotPlain();
        next_line();
    }
    [[nodiscard]] std::size_t column() const { return at_ - line_begin_; }
    [[nodiscard]] char here(std::size_t ahead = 0) const { // '\n' behind the line
        return at_ + ahead < line_end_ ? text_[at_ + ahead] : '\n';
    }
    [[nodiscard]] std::string_view rest_of_line() const {
        return text_.substr(at_, line_end_ - at_);
    }
    void skip_spaces() {
        while (here() == ' ')
            ++at_;
    }
    // Nothing but spaces, or a comment, which needs a space before it.
    [[nodiscard]] bool is_over() {
        const std::size_t before = at_;
        skip_spaces();
        return here() == '\n' || (here() == '#' && at_ != before);
    }

    // ---- nodes ----

    [[nodiscard]] Node node_here(Node::Kind kind) {
        if (++nodes_ > limits_.nodes) throw NotPlain();
        Node node;
        node.kind = kind;
        node.place = {source_, line_, static_cast<int>(column()) + 1};
        return node;
    }
    Node scalar(std::string_view text, std::size_t length) {
        Node node = node_here(is_null(text) ? Node::Kind::null : Node::Kind::scalar);
        if (node.is_scalar()) node.text = text;
        at_ += length;
        return node;
    }

    // Counts collections within collections.
    class Level {
    public:
        explicit Level(PlainReader &reader) : reader_(reader) {
            if (++reader.depth_ > reader.limits_.depth) throw NotPlain();
        }
        Level(const Level &) = delete;
        Level &operator=(const Level &) = delete;
        ~Level() { --reader_.depth_; }

    private:
        PlainReader &reader_;
    };

    // ---- blocks ----

    [[nodiscard]] bool is_entry() const {
        return here() == '-' && (here(1) == ' ' || here(1) == '\n');
    }
    // Of a key at this place with the colon behind it; 0: there is none.
    [[nodiscard]] std::size_t key_length() const {
        if (!is_letter(here()) && here() != '_') return 0;
        std::size_t length = 1;
        while (in_key(here(length)))
            ++length;
        const bool is_key =
            here(length) == ':' && (here(length + 1) == ' ' || here(length + 1) == '\n');
        return is_key ? length : 0;
    }

    Node block() { return is_entry() ? list() : map(); }

    Node list() {
        const Level level(*this);
        const std::size_t begin = column();
        Node node = node_here(Node::Kind::list);
        while (!end_ && column() == begin && is_entry()) {
            ++at_;
            skip_spaces();
            if (is_entry() || here() == '\n') throw NotPlain();
            node.items.push_back(key_length() != 0 ? map() : whole_value());
        }
        if (!end_ && column() > begin) throw NotPlain(); // the last line goes on
        return node;
    }

    Node map() {
        const Level level(*this);
        const std::size_t begin = column();
        Node node = node_here(Node::Kind::map);
        node.items.reserve(8);
        do {
            node.items.push_back(key());
            node.items.push_back(is_over() ? value_below(begin) : whole_value());
        } while (!end_ && column() == begin && !is_entry());
        if (!end_ && column() > begin) throw NotPlain();
        must_differ(node);
        return node;
    }
    Node key() {
        const std::size_t length = key_length();
        Node node = scalar(text_.substr(at_, length), length + 1);
        if (length == 0 || !node.is_scalar()) throw NotPlain();
        return node;
    }
    // A list may stand in its key's column.
    Node value_below(std::size_t column_of_key) {
        next_line();
        const bool is_below =
            !end_ && (column() > column_of_key || (column() == column_of_key && is_entry()));
        if (!is_below) throw NotPlain();
        return block();
    }
    static void must_differ(const Node &map) {
        constexpr std::size_t few = 16;
        std::unordered_set<std::string_view> known;
        for (std::size_t i = 0; i < map.items.size(); i += 2) {
            const std::string &one = map.items[i].text;
            if (map.entries() > few && !known.insert(one).second) throw NotPlain();
            for (std::size_t k = 0; k < i && map.entries() <= few; k += 2)
                if (map.items[k].text == one) throw NotPlain();
        }
    }

    // ---- values ----

    // A value that ends with its line.
    Node whole_value() {
        Node node = is_flow() ? flow() : plain();
        finish_line();
        return node;
    }
    [[nodiscard]] bool is_flow() const {
        return here() == '[' || here() == '{' || here() == '"' || here() == '\'';
    }
    Node plain() {
        const std::string_view rest = rest_of_line();
        const bool is_sign = here() == '-' || here() == ':';
        if (std::string_view("-?:,[]{}#&*!|>'\"%@`").find(here()) != std::string_view::npos &&
            (!is_sign || here(1) == ' ' || here(1) == '\n'))
            throw NotPlain();
        std::size_t length = rest.find(" #");
        if (length == std::string_view::npos) length = rest.size();
        while (length > 0 && rest[length - 1] == ' ')
            --length;
        const std::string_view text = rest.substr(0, length);
        if (text.empty() || text.back() == ':' || text.find(": ") != std::string_view::npos)
            throw NotPlain();
        return scalar(text, length);
    }

    Node flow() {
        switch (here()) {
        case '[':
            return flow_list();
        case '{':
            return flow_map();
        case '"':
        case '\'':
            return quoted();
        default:
            return flow_plain();
        }
    }
    // Whether the collection goes on behind an item.
    bool another(char end) {
        skip_spaces();
        if (here() == end) return false;
        if (here() != ',') throw NotPlain();
        ++at_;
        return true;
    }
    [[nodiscard]] bool ends(char end) {
        skip_spaces();
        return here() == end;
    }
    Node flow_list() {
        const Level level(*this);
        Node node = node_here(Node::Kind::list);
        ++at_;
        while (!ends(']')) {
            node.items.push_back(flow());
            if (!another(']')) break;
        }
        ++at_;
        return node;
    }
    Node flow_map() {
        const Level level(*this);
        Node node = node_here(Node::Kind::map);
        ++at_;
        while (!ends('}')) {
            node.items.push_back(key());
            skip_spaces();
            node.items.push_back(flow());
            if (!another('}')) break;
        }
        ++at_;
        must_differ(node);
        return node;
    }
    Node flow_plain() {
        std::size_t length = 0;
        while (in_flow(here(length)) ||
               (here(length) == ' ' && length > 0 && in_flow(here(length + 1)))) {
            const bool leads_on = here(length) == ':' || (here(length) == '-' && length == 0);
            if (leads_on && !in_flow(here(length + 1))) throw NotPlain();
            ++length;
        }
        if (length == 0) throw NotPlain();
        return scalar(text_.substr(at_, length), length);
    }

    Node quoted() {
        const char mark = here();
        Node node = node_here(Node::Kind::scalar);
        node.quoted = true;
        for (++at_;; ++at_) {
            if (here() == '\n' || here() == '\\') throw NotPlain();
            if (here() == mark && mark == '\'' && here(1) == mark)
                ++at_;
            else if (here() == mark)
                break;
            node.text += here();
        }
        ++at_;
        return node;
    }

    std::string_view text_;
    int source_;
    const Limits &limits_;
    std::size_t line_begin_ = 0, line_end_ = 0, at_ = 0;
    int line_ = 1;
    bool end_ = false; // no line any more
    int depth_ = 0;
    std::size_t nodes_ = 0;
};

} // namespace

std::optional<Node> parse_plain(std::string_view text, int source, const Limits &limits) {
    if (text.find_first_of("\t\r") != std::string_view::npos) return std::nullopt;
    try {
        return PlainReader(text, source, limits).read();
    } catch (const NotPlain &) {
        return std::nullopt;
    }
}

} // namespace sluice::policyfile
