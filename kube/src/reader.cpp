#include "waggle/kube/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "reading.h"
#include "workloads.h"

namespace waggle::kube {
namespace {

Error given_twice(std::string_view kind, const ObjectMeta& again, const ObjectMeta& first) {
  return {.kind = Error::Kind::bad_input,
          .what = fmt::format("{} {} is given twice, first in {}", kind, key_of(again).to_string(),
                              first.source.to_string()),
          .where = again.source.to_string(),
          .advice = {}};
}

class Adder {
 public:
  explicit Adder(Cluster& cluster) : cluster_(cluster) {}

  void operator()(Namespace&& object) { add("Namespace", cluster_.namespaces, std::move(object)); }
  void operator()(Node&& object) { add("Node", cluster_.nodes, std::move(object)); }
  void operator()(Pod&& object) { add("Pod", cluster_.pods, std::move(object)); }
  void operator()(Service&& object) { add("Service", cluster_.services, std::move(object)); }
  void operator()(EndpointSlice&& object) {
    add("EndpointSlice", cluster_.endpoint_slices, std::move(object));
  }
  void operator()(NetworkPolicy&& object) {
    add("NetworkPolicy", cluster_.network_policies, std::move(object));
  }
  void operator()(Workload&& object) {
    const std::pair id(object.kind, key_of(object.meta));
    const auto [found, is_new] = cluster_.workloads.try_emplace(id, std::move(object));
    if (!is_new)
      errors.push_back(given_twice(to_string(id.first), object.meta, found->second.meta));
  }

  Errors errors;

 private:
  template <class T>
  void add(std::string_view kind, std::map<ObjectKey, T>& objects, T&& object) {
    auto key = key_of(object.meta);
    const auto [found, is_new] = objects.try_emplace(std::move(key), std::move(object));
    if (!is_new) errors.push_back(given_twice(kind, object.meta, found->second.meta));
  }

  Cluster& cluster_;
};

Errors read_found(std::string_view text, const std::string& name, Found& found) {
  Report report{std::make_shared<const std::string>(name)};
  parse_documents(
      text, 1, [&](Value&& document) { read_document(View(report, document), found); },
      report.complaints);
  return errors_of(report);
}

Errors add_found(Cluster& cluster, Found&& found) {
  Adder adder(cluster);
  for (auto& object : found.objects) std::visit(adder, std::move(object));
  for (auto& workload : found.workloads) adder(std::move(workload));
  return std::move(adder.errors);
}

bool is_manifest(const std::filesystem::path& path) {
  auto name = path.filename();
  if (name.extension() == ".gz") name = name.stem();
  const auto extension = name.extension();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

Error unreadable(const std::filesystem::path& path, std::string what) {
  return {.kind = Error::Kind::not_found,
          .what = std::move(what),
          .where = path.string(),
          .advice = {}};
}

/// The manifests under a folder, in name order. Hidden files and folders are passed over.
Errors list_folder(const std::filesystem::path& folder, std::vector<std::filesystem::path>& files) {
  std::error_code code;
  std::vector<std::filesystem::path> entries;
  for (std::filesystem::directory_iterator it(folder, code), end; !code && it != end;
       it.increment(code))
    if (!it->path().filename().string().starts_with('.')) entries.push_back(it->path());
  if (code) return {unreadable(folder, code.message())};
  std::ranges::sort(entries);
  Errors errors;
  for (const auto& entry : entries) {
    const bool is_link = std::filesystem::is_symlink(entry, code);
    if (std::filesystem::is_directory(entry, code) && !is_link)
      std::ranges::move(list_folder(entry, files), std::back_inserter(errors));
    else if (is_manifest(entry) && std::filesystem::is_regular_file(entry, code))
      files.push_back(entry);
  }
  return errors;
}

Errors list_files(std::span<const std::filesystem::path> paths,
                  std::vector<std::filesystem::path>& files) {
  Errors errors;
  for (const auto& path : paths) {
    std::error_code code;
    const auto status = std::filesystem::status(path, code);
    if (!std::filesystem::exists(status)) {
      errors.push_back(unreadable(path, "there is no such file or folder"));
    } else if (!std::filesystem::is_directory(status)) {
      files.push_back(path);
    } else {
      const auto before = files.size();
      auto found = list_folder(path, files);
      if (found.empty() && files.size() == before)
        found.push_back(unreadable(path, "holds no manifest (*.yaml, *.yml, *.json, or with .gz)"));
      std::ranges::move(found, std::back_inserter(errors));
    }
  }
  return errors;
}

}  // namespace

Checked<std::vector<Object>> read_objects(std::string_view text, const std::string& name) {
  Found found;
  auto errors = read_found(text, name, found);
  if (!errors.empty()) return std::unexpected(std::move(errors));
  if (found.workloads.empty()) return std::move(found.objects);
  Cluster scratch;
  auto objects = found.objects;
  errors = add_found(scratch, std::move(found));
  if (!errors.empty()) return std::unexpected(std::move(errors));
  auto made = missing_pods(scratch, [](const Workload&) { return std::vector<std::string>(); });
  if (!made) return std::unexpected(std::move(made).error());
  std::ranges::move(*made, std::back_inserter(objects));
  return objects;
}

Checked<> add_objects(Cluster& cluster, std::vector<Object> objects) {
  auto errors = add_found(cluster, {std::move(objects), {}});
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return {};
}

Checked<Cluster> read_cluster(std::span<const std::filesystem::path> paths) {
  std::vector<std::filesystem::path> files;
  Errors errors = list_files(paths, files);
  Cluster cluster;
  for (const auto& file : files) {
    const auto text = read_text(file.string());
    if (!text) {
      errors.push_back(text.error());
      continue;
    }
    Found found;
    std::ranges::move(read_found(*text, file.string(), found), std::back_inserter(errors));
    std::ranges::move(add_found(cluster, std::move(found)), std::back_inserter(errors));
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return cluster;
}

}  // namespace waggle::kube
