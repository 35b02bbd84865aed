#include <arpa/inet.h>

#include <algorithm>

#include "waggle/abi/identities.h"
#include "waggle/agent/tables.h"

namespace waggle::agent {

namespace {

void raise(std::uint32_t& mark, std::uint32_t number) { mark = std::max(mark, number); }

void raise_identity(NumbersUsed& used, std::uint32_t number) {
  if (number >= DP_IDENTITY_CIDR_MIN) {
    raise(used.cidr_identity, number);
  } else if (number >= DP_IDENTITY_CLUSTER_MIN) {
    raise(used.identity, number);
  }
}

}  // namespace

void NumbersUsed::note(const TableOp& op) {
  if (op.kind != TableOp::Kind::upsert) return;
  switch (op.table) {
    case TableId::services:
      raise(frontend, op.value.as<dp_service>().frontend);
      raise(service, op.value.as<dp_service>().service);
      return;
    case TableId::reverse_nat:
      return raise(frontend, op.key.as<dp_reverse_nat_key>().frontend);
    case TableId::backends:
      raise(backend, op.key.as<dp_backend_key>().id);
      return raise(service, op.value.as<dp_backend>().service);
    case TableId::nodes:
      return raise(node, op.key.as<dp_node_key>().id);
    case TableId::ipcache:
    case TableId::ipcache_prefix:
      return raise_identity(*this, op.value.as<dp_ipcache>().identity);
    case TableId::endpoints:
      return raise_identity(*this, op.value.as<dp_endpoint>().identity);
    case TableId::policy:
      raise_identity(*this, ntohl(op.key.as<dp_policy_key>().subject));
      raise_identity(*this, ntohl(op.key.as<dp_policy_key>().peer));
      return raise(rule, op.value.as<dp_policy>().rule);
    default:
      return;
  }
}

}  // namespace waggle::agent
