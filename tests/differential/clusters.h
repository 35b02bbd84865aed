#pragma once
// The cluster that engines are compared on, and packets of its pods.

#include <gtest/gtest.h>

#include <string>

#include "waggle/kube/cluster.h"
#include "waggle/simulator/engine.h"

namespace waggle::simulator {

/// Two nodes, dual stack; client and web-0 on node-a, web-1 and vault on node-b; service web (one
/// backend a node), service empty (none), vault admits web only.
kube::Cluster small_cluster();
/// One object's change, from YAML.
kube::Change change_of(const std::string& yaml,
                       kube::Change::Kind kind = kube::Change::Kind::upserted);

Origin pod(const std::string& name);
Origin node(const std::string& name);
Origin world();

Address address_of(const kube::Cluster& cluster, const std::string& pod, Family family);
Address service_of(const kube::Cluster& cluster, const std::string& service, Family family);
Address node_address(const kube::Cluster& cluster, const std::string& node, Family family);
/// A packet of `pod`, TCP SYN unless changed.
PacketFields packet(const kube::Cluster& cluster, const std::string& from, const Address& to,
                    std::uint16_t port = 8080);
/// What the receiver of `walk` would send back.
PacketFields answer_to(const Walk& walk);

std::string text_of(const Errors& errors);
/// The walk in one line: "delivered default/web-1 (from_container to_netdev …)".
std::string line_of(const Result<Walk>& walk);

}  // namespace waggle::simulator
