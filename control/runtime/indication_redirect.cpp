// SPDX-License-Identifier: Apache-2.0
// What a classify says about redirection: the request that may be changed, what was made of the
// connection before, and for whom a proxy connects.
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/bind_requests.h"
#include "runtime/indication.h"
#include "runtime/text.h"

namespace sluice::runtime {

namespace {

// Where a process still runs the executable that it had. Its descriptor's inode is asked, since a
// pid may be another's by now; a program of another file system view has none that we could name.
std::string path_of(const dp_process &process) {
    if (process.tgid == 0 || process.exe_inode == 0) return {};
    const std::string link = "/proc/" + std::to_string(process.tgid) + "/exe";
    struct stat file {};
    if (::stat(link.c_str(), &file) != 0 || file.st_ino != process.exe_inode) return {};
    std::string path(DP_EXE_PATH_MAX, '\0');
    const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
    if (length <= 0) return {};
    path.resize(static_cast<std::size_t>(length));
    return path;
}

} // namespace

void *Indication::data() {
    if (requests_) return requests_->shown();
    if (bind_requests_) return bind_requests_->shown();
    return static_cast<NET_BUFFER_LIST *>(list_);
}

FWP_VALUE0 Indication::original_app_id() {
    const dp_redirect_view *view = upcall_.redirect.get();
    const std::string path =
        view && view->carries && view->record.hops ? path_of(view->record.hop[0].process) : "";
    if (path.empty()) return app_id();
    original_path_ = to_utf16(path);
    original_path_blob_.size = static_cast<UINT32>((original_path_.size() + 1) * sizeof(char16_t));
    original_path_blob_.data = reinterpret_cast<UINT8 *>(original_path_.data());
    FWP_VALUE0 v{};
    v.type = FWP_BYTE_BLOB_TYPE;
    v.byteBlob = &original_path_blob_;
    return v;
}

void Indication::fill_redirection(const Asked &asked) {
    auto &m = metadata_;
    const bool redirects = upcall_.redirects();
    if (redirects) requests_ = std::make_shared<ConnectRequests>(upcall_, asked.host);
    if (upcall_.binds()) bind_requests_ = std::make_shared<BindRequests>(upcall_);
    const dp_redirect_view *view = upcall_.redirect.get();
    if (!view) return;
    if (redirects && asked.records) {
        m.currentMetadataValues |= FWPS_METADATA_FIELD_REDIRECT_RECORD_HANDLE;
        m.redirectRecords = asked.records;
    }
    if (view->versions < 2) return; // as the application asked
    const auto layer = upcall_.header.layer;
    const bool connects =
        layer == DP_LAYER_ALE_AUTH_CONNECT_V4 || layer == DP_LAYER_ALE_AUTH_CONNECT_V6;
    const dp_redirect_version &newest = view->version[view->versions - 1];
    if ((redirects || connects) && newest.target_pid) {
        m.currentMetadataValues |= FWPS_METADATA_FIELD_LOCAL_REDIRECT_TARGET_PID;
        m.localRedirectTargetPID = newest.target_pid;
    }
    if (connects) {
        original_destination_ =
            to_sockaddr({view->version[0].remote, view->version[0].remote_port}, v6_);
        m.currentMetadataValues |= FWPS_METADATA_FIELD_ORIGINAL_DESTINATION;
        m.originalDestination = reinterpret_cast<sluice_sockaddr *>(&original_destination_);
    }
}

} // namespace sluice::runtime
