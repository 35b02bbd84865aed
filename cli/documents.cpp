// The man page and the shell completion, from the tables that --help is made from.

#include <fmt/format.h>

#include <iostream>
#include <sstream>

#include "session.h"

namespace waggle::cli {

namespace {

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* verb) { return !verb->get_group().empty(); });
}

std::string names_of(const CLI::Option& option) { return option.get_name(false, true); }

/// roff: backslashes and leading dots mean something.
std::string roff(const std::string& text) {
  std::istringstream lines(text);
  std::string line, made;
  while (std::getline(lines, line)) {
    std::string escaped;
    for (const char c : line) escaped += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
    made += (escaped.starts_with(".") || escaped.starts_with("'") ? "\\&" : "") + escaped + "\n";
  }
  return made;
}

void man_options(const CLI::App& app) {
  for (const auto* option : app.get_options()) {
    std::cout << ".TP\n\\fB" << roff(names_of(*option) + " " + option->get_type_name());
    std::cout << "\\fR" << roff(option->get_description());
  }
}

void man_verb(const CLI::App& verb, const std::string& path) {
  std::cout << ".SS " << roff(path) << roff(verb.get_description());
  man_options(verb);
  if (!verb.get_footer().empty()) std::cout << ".PP\n.nf\n" << roff(verb.get_footer()) << ".fi\n";
  for (const auto* inner : verbs_of(verb)) man_verb(*inner, path + " " + inner->get_name());
}

int print_man(const CLI::App& app) {
  std::cout << ".TH WAGGLE 1 \"\" \"waggle " << version() << "\" \"User Commands\"\n"
            << ".SH NAME\nwaggle \\- a proving ground for an eBPF Kubernetes datapath\n"
            << ".SH SYNOPSIS\n.B waggle\nVERB [OPTIONS]\n.SH DESCRIPTION\n"
            << roff(app.get_description()) << ".SH VERBS\n";
  for (const auto* verb : verbs_of(app)) man_verb(*verb, verb->get_name());
  std::cout << ".SH \"EXIT STATUS AND EXAMPLES\"\n.nf\n" << roff(app.get_footer()) << ".fi\n";
  return holds;
}

void complete_verb(const CLI::App& verb, const std::string& path) {
  std::string words;
  for (const auto* inner : verbs_of(verb)) words += inner->get_name() + " ";
  for (const auto* option : verb.get_options())
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  std::cout << fmt::format("    '{}') words='{}' ;;\n", path, words);
  for (const auto* inner : verbs_of(verb))
    complete_verb(*inner, (path.empty() ? "" : path + " ") + inner->get_name());
}

int print_bash_completion(const CLI::App& app) {
  std::cout << "# bash completion for waggle\n"
               "_waggle() {\n"
               "  local current=${COMP_WORDS[COMP_CWORD]} path='' words='' word\n"
               "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
               "    [[ $word == [a-z]* ]] || break\n"
               "    path=\"${path:+$path }$word\"\n"
               "  done\n"
               "  case $path in\n";
  complete_verb(app, "");
  std::cout << "  esac\n"
               "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
               "  [[ ${#COMPREPLY[@]} -gt 0 || $current == -* ]] ||\n"
               "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
               "}\n"
               "complete -o filenames -F _waggle waggle\n";
  return holds;
}

}  // namespace

void add_documents(CLI::App& app, Session& session) {
  auto* man = app.add_subcommand("man", "print the man page")->group("");
  man->callback([&app, &session] { session.exit = print_man(app); });
  auto* completions = app.add_subcommand("completions", "print shell completion")->group("");
  completions->require_subcommand(1);
  completions->add_subcommand("bash", "for bash")->callback([&app, &session] {
    session.exit = print_bash_completion(app);
  });
}

}  // namespace waggle::cli
