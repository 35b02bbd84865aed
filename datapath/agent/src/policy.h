#pragma once
// NetworkPolicies to policy entries. Semantics: the API reference.

#include <map>
#include <string>

#include "identities.h"

namespace waggle::agent {

using Policies = std::map<kube::ObjectKey, kube::NetworkPolicy>;

/// "shop/web" ingress rule 0 has the content "shop/web/ingress/0" in Ids::rules.
[[nodiscard]] std::string rule_content(const kube::ObjectKey& policy, dp_direction direction,
                                       std::size_t index);

/// Gives every rule of `policy` its number and tells where it stands.
[[nodiscard]] Result<> number_rules(const kube::NetworkPolicy& policy, Ids& ids,
                                    Provenance& provenance);

/// The entries of `subjects` (pods only) with respect to `peers`: one a matching rule, peer and
/// port prefix. `every_peer` adds what does not name a peer: rules for everyone, no isolation, the
/// host. All entries allow and have one precedence, so a verdict is the union of what policies
/// allow, and the entries of several calls are those of one call with the unions. Of several rules
/// with one key the first by policy and position is named. Requires number_rules() for every
/// policy.
void add_policy_entries(const Policies& policies, const Classes& subjects, const Classes& peers,
                        bool every_peer, const Ids& ids, Table<dp_policy_key, dp_policy>& entries);

}  // namespace waggle::agent
