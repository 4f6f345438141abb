// SPDX-License-Identifier: Apache-2.0
// Typed access to a BPF map by descriptor. Reads are copies; other writers (BPF) may be at work
// meanwhile.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/fd.h"
#include "core/result.h"

namespace sluice::datapath {

// Fails with EPROTO if the kernel's map has other sizes than the headers that we were compiled
// with.
Result<void> check_map(int fd, const std::string &name, std::size_t key_bytes,
                       std::size_t value_bytes);
Result<Fd> open_pinned(const std::string &path);
std::uint32_t map_entries(int fd);
std::size_t possible_cpus();

// Where a walk over a map has come to.
struct MapPlace {
    std::uint32_t bucket = 0;
    bool begun = false;
};

template <typename Key, typename Value>
class BpfMap {
public:
    static Result<BpfMap> open(const std::string &directory, const std::string &name) {
        auto fd = open_pinned(directory + "/" + name);
        if (!fd) return fd.error();
        if (auto checked = check_map(fd->get(), name, sizeof(Key), sizeof(Value)); !checked)
            return checked.error();
        BpfMap map;
        map.fd_ = std::move(*fd);
        map.name_ = name;
        return map;
    }

    [[nodiscard]] int fd() const { return fd_.get(); }

    [[nodiscard]] std::optional<Value> find(const Key &key) const {
        Value value;
        if (bpf_map_lookup_elem(fd(), &key, &value) != 0) return std::nullopt;
        return value;
    }

    Result<void> set(const Key &key, const Value &value, std::uint64_t flags = BPF_ANY) {
        if (bpf_map_update_elem(fd(), &key, &value, flags) != 0)
            return Error{errno, "write map", name_};
        return {};
    }

    // A key that is not there is as good as deleted.
    Result<void> erase(const Key &key) {
        if (bpf_map_delete_elem(fd(), &key) != 0 && errno != ENOENT)
            return Error{errno, "delete from map", name_};
        return {};
    }

    using Visit = std::function<bool(const Key &, const Value &)>;

    // Hash maps only. Goes bucket by bucket, so that entries that come and go meanwhile neither end
    // the walk nor start it again; `visit` may delete, and stops the walk by returning false.
    void each(const Visit &visit) const {
        MapPlace place;
        while (each_some(place, visit)) {
        }
    }

    // The next few hundred entries of such a walk. False: it is over.
    bool each_some(MapPlace &place, const Visit &visit) const {
        std::vector<Key> keys(256);
        std::vector<Value> values(keys.size());
        for (;;) {
            std::uint32_t next = 0;
            auto count = std::uint32_t(keys.size());
            const int error =
                -bpf_map_lookup_batch(fd(), place.begun ? &place.bucket : nullptr, &next,
                                      keys.data(), values.data(), &count, nullptr);
            if (error == ENOSPC) { // a bucket with more entries than fit
                keys.resize(keys.size() * 2);
                values.resize(keys.size());
                continue;
            }
            if (error != 0 && error != ENOENT) return false;
            for (std::uint32_t i = 0; i < count; i++)
                if (!visit(keys[i], values[i])) return false;
            place = {next, true};
            return error == 0;
        }
    }

private:
    Fd fd_;
    std::string name_;
};

// A map with one value per CPU, looked at as rows of them. Values are multiples of 8 bytes.
template <typename Key, typename Value>
class PerCpuMap {
    static_assert(sizeof(Value) % 8 == 0, "the kernel rounds values up");

public:
    static Result<PerCpuMap> open(const std::string &directory, const std::string &name) {
        auto fd = open_pinned(directory + "/" + name);
        if (!fd) return fd.error();
        if (auto checked = check_map(fd->get(), name, sizeof(Key), sizeof(Value)); !checked)
            return checked.error();
        PerCpuMap map;
        map.fd_ = std::move(*fd);
        map.name_ = name;
        return map;
    }

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] std::uint32_t entries() const { return map_entries(fd()); }

    [[nodiscard]] std::vector<Value> find(const Key &key) const { // empty: not there
        std::vector<Value> values(possible_cpus());
        if (bpf_map_lookup_elem(fd(), &key, values.data()) != 0) values.clear();
        return values;
    }

    Result<void> set_all(const Key &key, const Value &value, std::uint64_t flags = BPF_ANY) {
        const std::vector<Value> values(possible_cpus(), value);
        if (bpf_map_update_elem(fd(), &key, values.data(), flags) != 0)
            return Error{errno, "write map", name_};
        return {};
    }

    void erase(const Key &key) { bpf_map_delete_elem(fd(), &key); }

    // Hash maps whose keys only we add and delete.
    [[nodiscard]] std::vector<Key> keys() const {
        std::vector<Key> all;
        Key key;
        const Key *previous = nullptr;
        while (bpf_map_get_next_key(fd(), previous, &key) == 0) {
            all.push_back(key);
            previous = &all.back();
        }
        return all;
    }

private:
    Fd fd_;
    std::string name_;
};

// A step of several that open maps: nothing once `done` is an error.
template <typename Map>
void open_map(Result<void> &done, Map &map, const std::string &directory, const char *name) {
    if (!done) return;
    auto opened = Map::open(directory, name);
    if (opened)
        map = std::move(*opened);
    else
        done = opened.error();
}

} // namespace sluice::datapath
