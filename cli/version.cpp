#include <fmt/format.h>

#include <iostream>

#include "session.h"

namespace waggle::cli {

void add_version(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand("version", "print the version of waggle and of the kernel");
  verb->callback([&session] {
    std::cout << fmt::format("waggle {} on {}\n", version(), kernel_release());
    session.exit = holds;
  });
}

}  // namespace waggle::cli
