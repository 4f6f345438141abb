// SPDX-License-Identifier: Apache-2.0
#include "policyfile/reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <list>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "policyfile/objects.h"

namespace sluice::policyfile {

namespace {

namespace fs = std::filesystem;

Result<std::string> contents(const Fd &fd, const std::string &path, std::size_t most) {
    std::string text;
    char part[65536];
    for (;;) {
        const ssize_t n = ::read(fd.get(), part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Error(errno, "read", path);
        if (n == 0) return text;
        text.append(part, static_cast<std::size_t>(n));
        if (text.size() > most)
            return Error(EFBIG,
                         "read more than " + std::to_string(most_bytes >> 20) + " MiB of policy",
                         path);
    }
}

Result<std::string> read_text_of(const std::string &path, std::size_t most) {
    if (path == "-") {
        const Fd own(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
        return own ? contents(own, "standard input", most) : Error(errno, "read", "standard input");
    }
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) return Error(errno, "open", path);
    return contents(fd, path, most);
}

// Loads documents: the file, what it includes, the directory beside it.
class Loader {
public:
    explicit Loader(PolicyFile &file) : file_(file) {}

    void load(const std::string &path) {
        open(path, Place{}, 0);
        if (path == "-") return;
        for (const auto &beside : directory_beside(path))
            open(beside, Place{}, 0);
    }
    void load_text(const std::string &name, std::string text) { parse(name, std::move(text), 0); }

    [[nodiscard]] const std::list<Node> &documents() const { return documents_; }

private:
    // from: the place of the include; a file that cannot be read is a problem there.
    void open(const std::string &path, Place from, int depth) {
        std::error_code ignored;
        const std::string resolved =
            path == "-" ? path : fs::weakly_canonical(path, ignored).string();
        if (std::find(open_.begin(), open_.end(), resolved) != open_.end())
            return file_.problems.add(from, "'" + path + "' includes itself");
        auto text = read_text_of(path, most_bytes - bytes_);
        if (!text) {
            const bool first = file_.sources.empty();
            if (first) file_.sources.push_back({path == "-" ? "standard input" : path, ""});
            return file_.problems.add(first ? Place{} : from, text.error().text());
        }
        bytes_ += text->size();
        open_.push_back(resolved);
        parse(path == "-" ? "standard input" : path, std::move(*text), depth);
        open_.pop_back();
    }

    void parse(const std::string &name, std::string text, int depth) {
        if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
        file_.sources.push_back({name, std::move(text)});
        const int source = static_cast<int>(file_.sources.size()) - 1;
        auto node = parse_tree(file_.sources, source, file_.problems);
        if (!node) return;
        if (!node->is_map())
            return file_.problems.add(
                node->place, "a policy file is written as KEY: VALUE pairs, with version: 1");
        include(*node, depth);
        documents_.push_back(std::move(*node));
    }

    // What is included stands before the file's own entries.
    void include(const Node &document, int depth) {
        Problems said_later; // of the other keys
        Entry entry(document, "a policy file", said_later);
        const Node *list = entry.take("include");
        if (list == nullptr) return;
        for (const Node *word :
             Entry(document, "a policy file", file_.problems).take_words("include")) {
            const Source &source = file_.sources[static_cast<std::size_t>(word->place.source)];
            if (open_.empty() || open_.back() == "-")
                file_.problems.add(word->place, "only a file can include another one");
            else if (depth >= most_include_depth)
                file_.problems.add(word->place, "includes are nested deeper than " +
                                                    std::to_string(most_include_depth));
            else
                open((fs::path(source.name).parent_path() / word->text).string(), word->place,
                     depth + 1);
        }
    }

    std::vector<std::string> directory_beside(const std::string &path) {
        std::vector<std::string> files;
        std::error_code error;
        fs::path directory = fs::path(path).replace_extension(".d");
        for (const auto &entry : fs::directory_iterator(directory, error)) {
            const std::string end = entry.path().extension();
            const bool hidden = entry.path().filename().string().starts_with(".");
            if (!hidden && (end == ".yaml" || end == ".yml" || end == ".json"))
                files.push_back(entry.path().string());
        }
        std::sort(files.begin(), files.end());
        return files;
    }

    PolicyFile &file_;
    std::list<Node> documents_;
    std::vector<std::string> open_; // files that are being read, outermost first
    std::size_t bytes_ = 0;
};

void check_version(const Node &document, Entry &entry, Problems &problems) {
    const Node *version = entry.take_scalar("version");
    if (version == nullptr)
        problems.add(document.place, "`version: 1` is missing");
    else if (version->text != "1")
        problems.add(version->place,
                     "version '" + version->text + "' is not 1, the one this command reads");
}

void read_objects(PolicyFile &file, const std::list<Node> &documents,
                  const protocol::Objects &known) {
    ObjectReader reader(file, known);
    struct Section {
        const char *key;
        void (ObjectReader::*read)(const Node &);
    };
    // In the order in which one may name the other.
    constexpr Section sections[] = {{"providers", &ObjectReader::providers},
                                    {"provider_contexts", &ObjectReader::provider_contexts},
                                    {"sublayers", &ObjectReader::sublayers},
                                    {"callouts", &ObjectReader::callouts},
                                    {"filters", &ObjectReader::filters}};
    for (const auto &document : documents) {
        Entry entry(document, "a policy file", file.problems);
        check_version(document, entry, file.problems);
        entry.take("include");
        for (const auto &section : sections)
            entry.take(section.key);
        entry.finish();
    }
    for (const auto &section : sections) {
        for (const auto &document : documents) {
            const Node *list = Entry(document, "", file.problems).take(section.key);
            const bool nothing = list != nullptr && list->kind == Node::Kind::null;
            if (list != nullptr && !nothing) (reader.*section.read)(*list);
        }
    }
}

} // namespace

PolicyFile read_file(const std::string &path, const protocol::Objects &known) {
    PolicyFile file;
    Loader loader(file);
    loader.load(path);
    read_objects(file, loader.documents(), known);
    return file;
}

PolicyFile read_text(const std::string &name, std::string text, const protocol::Objects &known) {
    PolicyFile file;
    Loader loader(file);
    loader.load_text(name, std::move(text));
    read_objects(file, loader.documents(), known);
    return file;
}

namespace {

std::string joined(const Problems &problems) {
    std::string all;
    for (const auto &problem : problems.all())
        all += (all.empty() ? "" : "; ") + problem.text;
    return all;
}

Result<void> add_read(const Node &node, std::uint16_t layer, Problems &problems,
                      protocol::Filter &filter) {
    LayerConditions conditions = read_conditions(node, layer, problems);
    for (const auto &place : conditions.skipped)
        problems.add(place, "the value is of the other family than " + layer_name(layer));
    if (!problems.empty()) return Error(0, joined(problems));
    for (auto &placed : conditions.all)
        *filter.add_conditions() = std::move(placed.condition);
    return {};
}

} // namespace

Result<void> add_condition(const std::string &word, const std::vector<std::string> &values,
                           std::uint16_t layer, protocol::Filter &filter) {
    Node map, key, list;
    map.kind = Node::Kind::map;
    list.kind = Node::Kind::list;
    key.kind = Node::Kind::scalar;
    key.text = word;
    for (const auto &value : values) {
        Node &item = list.items.emplace_back(key);
        item.text = value;
        item.place.column = static_cast<int>(list.items.size());
    }
    map.items = {key, list};
    Problems problems;
    if (auto r = add_read(map, layer, problems, filter); !r) {
        std::string all;
        for (const auto &value : values)
            all += (all.empty() ? "" : ", ") + value;
        return Error(0, word + " '" + all + "': " + r.error().text());
    }
    return {};
}

Result<void> add_conditions(const std::string &text, std::uint16_t layer,
                            protocol::Filter &filter) {
    Problems problems;
    const Sources sources{{"condition", text}};
    const auto node = parse_tree(sources, 0, problems);
    const auto added =
        node ? add_read(*node, layer, problems, filter) : Result<void>(Error(0, joined(problems)));
    if (!added) return Error(0, "condition '" + text + "': " + added.error().text());
    return {};
}

} // namespace sluice::policyfile
