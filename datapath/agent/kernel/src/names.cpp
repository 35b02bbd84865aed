#include "waggle/abi/drop_reasons.h"
#include "waggle/kernel/datapath.h"

namespace waggle::kernel {

dp_config default_config() {
  dp_config config{};
#define WAGGLE_INITIAL(type, name, initial, min, max, help) config.name = initial;
  DP_CONFIG(WAGGLE_INITIAL)
#undef WAGGLE_INITIAL
  return config;
}

const char* hook_name(dp_hook hook) {
  switch (hook) {
#define WAGGLE_HOOK(name, number) \
  case DP_HOOK_##name:            \
    return #name;
    DP_HOOKS(WAGGLE_HOOK)
#undef WAGGLE_HOOK
    case DP_HOOK_COUNT:
      break;
  }
  return "?";
}

const char* drop_name(std::uint32_t reason) {
  switch (reason) {
#define WAGGLE_REASON(name, number, text) \
  case number:                            \
    return #name;
    DP_DROP_REASONS(WAGGLE_REASON)
#undef WAGGLE_REASON
    default:
      return "?";
  }
}

const char* drop_text(std::uint32_t reason) {
  switch (reason) {
#define WAGGLE_REASON(name, number, text) \
  case number:                            \
    return text;
    DP_DROP_REASONS(WAGGLE_REASON)
#undef WAGGLE_REASON
    default:
      return "?";
  }
}

}  // namespace waggle::kernel
