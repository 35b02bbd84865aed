/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From bytes to a tuple. The only reader of headers: after it, nothing but nat.h, icmp.h and
 * answer.h (which write them) knows families and offsets.
 */
#ifndef WAGGLE_BPF_PARSE_H
#define WAGGLE_BPF_PARSE_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/events.h>

#include "lib/address.h"
#include "lib/tables.h"

enum packet_kind {
	PACKET_UNKNOWN = 0, /* refused before its addresses were read */
	PACKET_LINK,        /* ARP, neighbour discovery, MLD: between neighbours, never judged */
	PACKET_FLOW,        /* opens or continues a flow that can have replies */
	PACKET_ECHO_REPLY,  /* only ever a reply; without its request judged for itself */
	PACKET_SINGLE,      /* ICMP that has no replies: judged each time, not remembered */
	PACKET_ICMP_ERROR,  /* about another packet, quoted behind its header */
};

/* What is known of a packet. Offsets count from the start of the frame. */
struct packet {
	struct dp_tuple tuple;
	__u32 l3_bytes;    /* IP header and what follows it, without Ethernet padding */
	__u16 l3_offset;
	__u16 l4_offset;
	__u16 policy_port; /* host order: destination port, or ICMP type << 8 | code */
	__u8 kind;         /* enum packet_kind */
	__u8 ttl;
	__u8 ipv6;
	__u8 pad[3];
};

/* <linux/icmp.h> includes libc's headers, which a BPF target does not have. */
#define DP_ICMP_ECHO_REPLY 0
#define DP_ICMP_UNREACHABLE 3
#define DP_ICMP_ECHO_REQUEST 8
#define DP_ICMP_TIME_EXCEEDED 11
#define DP_ICMP_PARAMETER_PROBLEM 12

#define DP_TCP_FIN 1
#define DP_TCP_SYN 2
#define DP_TCP_RST 4
#define DP_TCP_ACK 16

#define DP_IPV4_FRAGMENT_OFFSET 0x1fff
#define DP_IPV4_FRAGMENT_MORE 0x2000
#define DP_EXTENSION_HEADERS_MAX 4
#define DP_SCTP_HEADER_BYTES 12
#define DP_ICMP_HEADER_BYTES 8
#define DP_QUOTED_L4_BYTES 8 /* what RFC 792 promises behind a quoted IP header */

/* The first SYN of a connection: SYN without ACK. */
static __always_inline bool packet_opens_tcp(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_TCP &&
	       (packet->tuple.tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN;
}

/* Of a TCP connection that is open, or was. */
static __always_inline bool packet_is_mid_tcp(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_TCP && !packet_opens_tcp(packet);
}

/* packet_header - the first @bytes of the frame, for direct reading.
 *
 * Returns NULL when the frame is shorter. The pointer dies with the next helper that changes the
 * packet.
 */
static __always_inline void *packet_header(struct __sk_buff *skb, __u32 bytes)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;

	if (data + bytes <= end)
		return data;
	if (bpf_skb_pull_data(skb, bytes))
		return NULL;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	return data + bytes <= end ? data : NULL;
}

/* parse_icmp - kind and ports of ICMP and ICMPv6.
 *
 * An echo request carries (id, 0) and its reply (0, id), so that reversing one gives the other.
 */
static __always_inline void parse_icmp(struct packet *packet, const __u8 *header)
{
	const __be16 id = *(const __be16 *)(header + 4);
	const __u8 type = header[0];
	bool request, reply, error;

	packet->tuple.icmp_type = type;
	packet->tuple.icmp_code = header[1];
	packet->policy_port = type << 8 | header[1];

	if (packet->ipv6) {
		request = type == ICMPV6_ECHO_REQUEST;
		reply = type == ICMPV6_ECHO_REPLY;
		error = type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
	} else {
		request = type == DP_ICMP_ECHO_REQUEST;
		reply = type == DP_ICMP_ECHO_REPLY;
		error = type == DP_ICMP_UNREACHABLE || type == DP_ICMP_TIME_EXCEEDED ||
			type == DP_ICMP_PARAMETER_PROBLEM;
	}

	if (request) {
		packet->tuple.source_port = id;
		packet->kind = PACKET_FLOW;
	} else if (reply) {
		packet->tuple.destination_port = id;
		packet->kind = PACKET_ECHO_REPLY;
	} else {
		packet->tuple.source_port = bpf_htons(packet->policy_port);
		packet->kind = error ? PACKET_ICMP_ERROR : PACKET_SINGLE;
	}
}

/* Neighbour discovery must have a hop limit that no router can have lowered (RFC 4861); MLD is
 * link-local by its hop limit of 1 (RFC 3810).
 */
static __always_inline bool parse_is_link_icmp6(const struct packet *packet)
{
	const struct dp_tuple *tuple = &packet->tuple;

	if (tuple->icmp_type >= 133 && tuple->icmp_type <= 137)
		return packet->ttl == 255;
	if ((tuple->icmp_type >= 130 && tuple->icmp_type <= 132) || tuple->icmp_type == 143)
		return packet->ttl == 1 && (addr_is_v6_multicast(&tuple->destination) ||
					    addr_is_v6_link_local(&tuple->source));
	return false;
}

/* parse_l4 - ports, flags and kind.
 *
 * Requires: addresses, protocol, l3_bytes and l4_offset of @packet. @quoted: the packet is inside
 * an ICMP error, and may end eight bytes into its transport header.
 */
static __always_inline int parse_l4(struct __sk_buff *skb, struct packet *packet, bool quoted)
{
	const __u32 end = packet->l3_offset + packet->l3_bytes;
	const __u8 protocol = packet->tuple.protocol;
	__u32 need = DP_QUOTED_L4_BYTES;
	__be16 header[10] = {};

	switch (protocol) {
	case IPPROTO_TCP:
		need = quoted ? need : sizeof(struct tcphdr);
		break;
	case IPPROTO_SCTP:
		need = quoted ? need : DP_SCTP_HEADER_BYTES;
		break;
	case IPPROTO_UDP:
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (packet->ipv6 != (protocol == IPPROTO_ICMPV6))
			return -DP_DROP_UNSUPPORTED_L4;
		break;
	default:
		return -DP_DROP_UNSUPPORTED_L4;
	}
	if (packet->l4_offset + need > end)
		return -DP_DROP_INVALID_PACKET;

	if (protocol == IPPROTO_TCP && !quoted) {
		if (bpf_skb_load_bytes(skb, packet->l4_offset, header, sizeof(struct tcphdr)))
			return -DP_DROP_INVALID_PACKET;
	} else if (bpf_skb_load_bytes(skb, packet->l4_offset, header, DP_QUOTED_L4_BYTES)) {
		return -DP_DROP_INVALID_PACKET;
	}

	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
		parse_icmp(packet, (const __u8 *)header);
		if (packet->ipv6 && parse_is_link_icmp6(packet))
			packet->kind = PACKET_LINK;
		return 0;
	}

	packet->kind = PACKET_FLOW;
	packet->tuple.source_port = header[0];
	packet->tuple.destination_port = header[1];
	packet->policy_port = bpf_ntohs(header[1]);
	if (quoted)
		return 0;

	if (protocol == IPPROTO_TCP) {
		const __u16 offset_and_flags = bpf_ntohs(header[6]);
		const __u32 header_bytes = (offset_and_flags >> 12) * 4;

		if (header_bytes < sizeof(struct tcphdr) || packet->l4_offset + header_bytes > end)
			return -DP_DROP_INVALID_PACKET;
		packet->tuple.tcp_flags = offset_and_flags & 0xff;
	} else if (protocol == IPPROTO_UDP) {
		const __u32 length_bytes = bpf_ntohs(header[2]);

		if (length_bytes < sizeof(struct udphdr) || packet->l4_offset + length_bytes > end)
			return -DP_DROP_INVALID_PACKET;
	}
	return 0;
}

/* parse_ipv4 - addresses, protocol and where the transport header is.
 *
 * @available: bytes from the IP header to the end of the frame. A @quoted packet may say that it is
 * longer than what is quoted of it, and a first fragment still has its ports.
 */
static __always_inline int parse_ipv4(const struct iphdr *ip, struct packet *packet,
				      __u32 available, bool quoted)
{
	const __u32 header_bytes = ip->ihl * 4;
	const __u16 fragment = bpf_ntohs(ip->frag_off);
	__u32 total_bytes = bpf_ntohs(ip->tot_len);

	if (quoted && total_bytes > available)
		total_bytes = available;
	if (ip->version != 4 || header_bytes < sizeof(*ip) || total_bytes < header_bytes ||
	    total_bytes > available)
		return -DP_DROP_INVALID_PACKET;

	packet->tuple.source.word[2] = DP_V4_MAPPED;
	packet->tuple.source.word[3] = ip->saddr;
	packet->tuple.destination.word[2] = DP_V4_MAPPED;
	packet->tuple.destination.word[3] = ip->daddr;
	packet->tuple.protocol = ip->protocol;
	packet->ttl = ip->ttl;
	packet->l3_bytes = total_bytes;
	packet->l4_offset = packet->l3_offset + header_bytes;
	packet->kind = PACKET_SINGLE;

	if (fragment & (quoted ? DP_IPV4_FRAGMENT_OFFSET
			       : DP_IPV4_FRAGMENT_OFFSET | DP_IPV4_FRAGMENT_MORE))
		return -DP_DROP_FRAGMENT;
	return 0;
}

/* parse_extension_headers - pass over what may stand between IPv6 and the transport header.
 *
 * Bounded: a packet with more than DP_EXTENSION_HEADERS_MAX of them is refused, not half read.
 */
static __always_inline int parse_extension_headers(struct __sk_buff *skb, struct packet *packet)
{
	const __u32 end = packet->l3_offset + packet->l3_bytes;
	__u32 offset = packet->l4_offset;
	__u8 next = packet->tuple.protocol;
	__u8 header[2];
	int i;

	for (i = 0; i <= DP_EXTENSION_HEADERS_MAX; i++) {
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_AH:
			break;
		case IPPROTO_FRAGMENT:
			return -DP_DROP_FRAGMENT;
		case IPPROTO_NONE:
		case IPPROTO_ESP:
		case 135: /* mobility, RFC 6275 */
		case 139: /* host identity protocol, RFC 7401 */
		case 140: /* shim6, RFC 5533 */
			return -DP_DROP_EXTENSION_HEADER;
		default:
			packet->tuple.protocol = next;
			packet->l4_offset = offset;
			return 0;
		}
		if (i == DP_EXTENSION_HEADERS_MAX)
			break;
		if (offset + DP_QUOTED_L4_BYTES > end ||
		    bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
			return -DP_DROP_INVALID_PACKET;
		offset += next == IPPROTO_AH ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		next = header[0];
	}
	return -DP_DROP_EXTENSION_HEADER;
}

/* parse_ipv6 - as parse_ipv4; extension headers are still ahead. */
static __always_inline int parse_ipv6(const struct ipv6hdr *ip, struct packet *packet,
				      __u32 available, bool quoted)
{
	__u32 total_bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);

	if (quoted && total_bytes > available)
		total_bytes = available;
	if (ip->version != 6 || total_bytes > available)
		return -DP_DROP_INVALID_PACKET;

	__builtin_memcpy(&packet->tuple.source, &ip->saddr, sizeof(struct dp_addr));
	__builtin_memcpy(&packet->tuple.destination, &ip->daddr, sizeof(struct dp_addr));
	packet->tuple.protocol = ip->nexthdr;
	packet->ttl = ip->hop_limit;
	packet->ipv6 = 1;
	packet->l3_bytes = total_bytes;
	packet->l4_offset = packet->l3_offset + sizeof(*ip);
	packet->kind = PACKET_SINGLE;
	/* An IPv4-mapped address on the wire would pass for an IPv4 one in every table. */
	if (addr_is_v4(&packet->tuple.source) || addr_is_v4(&packet->tuple.destination))
		return -DP_DROP_INVALID_PACKET;
	return 0;
}

/* parse - say what the frame is.
 *
 * Requires: @packet is zero.
 * Returns 0, or the negated reason why it cannot be judged. When kind is not PACKET_UNKNOWN then
 * the addresses are known even so.
 */
static __always_inline int parse(struct __sk_buff *skb, struct packet *packet)
{
	void *data;
	int err;

	if (skb->vlan_present)
		return -DP_DROP_UNSUPPORTED_L2;

	packet->l3_offset = ETH_HLEN;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_ARP):
		packet->kind = PACKET_LINK;
		return 0;
	case bpf_htons(ETH_P_IP):
		if (!dp_config.ipv4)
			return -DP_DROP_IP_FAMILY_DISABLED;
		data = packet_header(skb, ETH_HLEN + sizeof(struct iphdr));
		if (!data)
			return -DP_DROP_INVALID_PACKET;
		err = parse_ipv4(data + ETH_HLEN, packet, skb->len - ETH_HLEN, false);
		break;
	case bpf_htons(ETH_P_IPV6):
		if (!dp_config.ipv6)
			return -DP_DROP_IP_FAMILY_DISABLED;
		data = packet_header(skb, ETH_HLEN + sizeof(struct ipv6hdr));
		if (!data)
			return -DP_DROP_INVALID_PACKET;
		err = parse_ipv6(data + ETH_HLEN, packet, skb->len - ETH_HLEN, false);
		if (!err)
			err = parse_extension_headers(skb, packet);
		break;
	default:
		return -DP_DROP_UNSUPPORTED_L2;
	}
	return err ? err : parse_l4(skb, packet, false);
}

/* parse_quoted - the packet that an ICMP error is about.
 *
 * Requires: @error is a parsed PACKET_ICMP_ERROR, @packet is zero.
 * Returns 0 or a negated reason, as parse() does. TCP flags are not read.
 */
static __always_inline int parse_quoted(struct __sk_buff *skb, const struct packet *error,
					struct packet *packet)
{
	const __u32 end = error->l3_offset + error->l3_bytes;
	struct ipv6hdr ip;
	int err;

	packet->l3_offset = error->l4_offset + DP_ICMP_HEADER_BYTES;
	if (error->ipv6) {
		if (packet->l3_offset + sizeof(ip) > end ||
		    bpf_skb_load_bytes(skb, packet->l3_offset, &ip, sizeof(ip)))
			return -DP_DROP_INVALID_PACKET;
		err = parse_ipv6(&ip, packet, end - packet->l3_offset, true);
		if (!err)
			err = parse_extension_headers(skb, packet);
	} else {
		if (packet->l3_offset + sizeof(struct iphdr) > end ||
		    bpf_skb_load_bytes(skb, packet->l3_offset, &ip, sizeof(struct iphdr)))
			return -DP_DROP_INVALID_PACKET;
		err = parse_ipv4((const struct iphdr *)&ip, packet, end - packet->l3_offset, true);
	}
	return err ? err : parse_l4(skb, packet, true);
}

#endif
