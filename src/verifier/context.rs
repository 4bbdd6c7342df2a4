//! The fields of contexts and of other structures with a layout of their own, to say which of them an access meets.

use crate::uapi::ProgramType;

/// A structure that programs see; the verifier rewrites accesses to it into accesses to the kernel's own.
struct Struct {
    name: &'static str,
    size: i64,
    /// Name, offset and size of each field.
    fields: &'static str,
}

/// The context structures of `include/uapi/linux/bpf.h`, which only grow at their ends.
#[rustfmt::skip]
static STRUCTS: &[Struct] = &[
    Struct {
        name: "__sk_buff",
        size: 192,
        fields: "len 0 4, pkt_type 4 4, mark 8 4, queue_mapping 12 4, protocol 16 4, vlan_present 20 4, \
                 vlan_tci 24 4, vlan_proto 28 4, priority 32 4, ingress_ifindex 36 4, ifindex 40 4, \
                 tc_index 44 4, cb 48 20, hash 68 4, tc_classid 72 4, data 76 4, data_end 80 4, napi_id 84 4, \
                 family 88 4, remote_ip4 92 4, local_ip4 96 4, remote_ip6 100 16, local_ip6 116 16, \
                 remote_port 132 4, local_port 136 4, data_meta 140 4, flow_keys 144 8, tstamp 152 8, \
                 wire_len 160 4, gso_segs 164 4, sk 168 8, gso_size 176 4, tstamp_type 180 1, hwtstamp 184 8",
    },
    Struct {
        name: "xdp_md",
        size: 24,
        fields: "data 0 4, data_end 4 4, data_meta 8 4, ingress_ifindex 12 4, rx_queue_index 16 4, \
                 egress_ifindex 20 4",
    },
    Struct {
        name: "bpf_sock",
        size: 80,
        fields: "bound_dev_if 0 4, family 4 4, type 8 4, protocol 12 4, mark 16 4, priority 20 4, src_ip4 24 4, \
                 src_ip6 28 16, src_port 44 4, dst_port 48 2, dst_ip4 52 4, dst_ip6 56 16, state 72 4, \
                 rx_queue_mapping 76 4",
    },
    Struct {
        name: "bpf_tcp_sock",
        size: 112,
        fields: "snd_cwnd 0 4, srtt_us 4 4, rtt_min 8 4, snd_ssthresh 12 4, rcv_nxt 16 4, snd_nxt 20 4, \
                 snd_una 24 4, mss_cache 28 4, ecn_flags 32 4, rate_delivered 36 4, rate_interval_us 40 4, \
                 packets_out 44 4, retrans_out 48 4, total_retrans 52 4, segs_in 56 4, data_segs_in 60 4, \
                 segs_out 64 4, data_segs_out 68 4, lost_out 72 4, sacked_out 76 4, bytes_received 80 8, \
                 bytes_acked 88 8, dsack_dups 96 4, delivered 100 4, delivered_ce 104 4, icsk_retransmits 108 4",
    },
    Struct {
        name: "bpf_sock_addr",
        size: 72,
        fields: "user_family 0 4, user_ip4 4 4, user_ip6 8 16, user_port 24 4, family 28 4, type 32 4, \
                 protocol 36 4, msg_src_ip4 40 4, msg_src_ip6 44 16, sk 64 8",
    },
    Struct {
        name: "bpf_sock_ops",
        size: 224,
        fields: "op 0 4, args 4 16, replylong 4 16, reply 4 4, family 20 4, remote_ip4 24 4, local_ip4 28 4, \
                 remote_ip6 32 16, local_ip6 48 16, remote_port 64 4, local_port 68 4, is_fullsock 72 4, \
                 snd_cwnd 76 4, srtt_us 80 4, bpf_sock_ops_cb_flags 84 4, state 88 4, rtt_min 92 4, \
                 snd_ssthresh 96 4, rcv_nxt 100 4, snd_nxt 104 4, snd_una 108 4, mss_cache 112 4, \
                 ecn_flags 116 4, rate_delivered 120 4, rate_interval_us 124 4, packets_out 128 4, \
                 retrans_out 132 4, total_retrans 136 4, segs_in 140 4, data_segs_in 144 4, segs_out 148 4, \
                 data_segs_out 152 4, lost_out 156 4, sacked_out 160 4, sk_txhash 164 4, bytes_received 168 8, \
                 bytes_acked 176 8, sk 184 8, skb_data 192 8, skb_data_end 200 8, skb_len 208 4, \
                 skb_tcp_flags 212 4, skb_hwtstamp 216 8",
    },
    Struct {
        name: "sk_msg_md",
        size: 80,
        fields: "data 0 8, data_end 8 8, family 16 4, remote_ip4 20 4, local_ip4 24 4, remote_ip6 28 16, \
                 local_ip6 44 16, remote_port 60 4, local_port 64 4, size 68 4, sk 72 8",
    },
    Struct {
        name: "sk_reuseport_md",
        size: 56,
        fields: "data 0 8, data_end 8 8, len 16 4, eth_protocol 20 4, ip_protocol 24 4, bind_inany 28 4, \
                 hash 32 4, sk 40 8, migrating_sk 48 8",
    },
    Struct {
        name: "bpf_sysctl",
        size: 8,
        fields: "write 0 4, file_pos 4 4",
    },
    Struct {
        name: "bpf_sockopt",
        size: 40,
        fields: "sk 0 8, optval 8 8, optval_end 16 8, level 24 4, optname 28 4, optlen 32 4, retval 36 4",
    },
    Struct {
        name: "bpf_cgroup_dev_ctx",
        size: 12,
        fields: "access_type 0 4, major 4 4, minor 8 4",
    },
    Struct {
        name: "bpf_sk_lookup",
        size: 72,
        fields: "sk 0 8, cookie 0 8, family 8 4, protocol 12 4, remote_ip4 16 4, remote_ip6 20 16, \
                 remote_port 36 2, local_ip4 40 4, local_ip6 44 16, local_port 60 4, ingress_ifindex 64 4",
    },
    Struct {
        name: "bpf_flow_keys",
        size: 56,
        fields: "nhoff 0 2, thoff 2 2, addr_proto 4 2, is_frag 6 1, is_first_frag 7 1, is_encap 8 1, \
                 ip_proto 9 1, n_proto 10 2, sport 12 2, dport 14 2, ipv6_src 16 16, ipv4_src 16 4, \
                 ipv4_dst 20 4, ipv6_dst 32 16, flags 48 4, flow_label 52 4",
    },
];

/// An access as the verifier refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    pub offset: i64,
    pub size: i64,
    /// Whether it is a store.
    pub writes: bool,
    /// Whether it is a load that extends the sign.
    pub signed: bool,
}

/// The offset and the size in a cause, `invalid bpf_context access off=76 size=4`.
pub(super) fn refused(cause: &str) -> Option<(i64, i64)> {
    let number = |key: &str| {
        let (_, rest) = cause.split_once(key)?;
        let end = rest.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..end)?.parse().ok()
    };
    Some((number("off=")?, number("size=").filter(|size| *size > 0)?))
}

/// The kind of a program type's context.
enum Context {
    /// A structure of the table.
    Struct(&'static str),
    /// Registers.
    Registers,
    /// 64-bit arguments, which some types load whole only.
    Arguments {
        whole: bool,
    },
    /// A record of a tracepoint.
    Record,
    Unknown,
}

fn context(kind: ProgramType) -> Context {
    use ProgramType as P;
    match kind {
        P::SocketFilter
        | P::SchedCls
        | P::SchedAct
        | P::CgroupSkb
        | P::LwtIn
        | P::LwtOut
        | P::LwtXmit
        | P::LwtSeg6local
        | P::SkSkb
        | P::FlowDissector => Context::Struct("__sk_buff"),
        P::Xdp => Context::Struct("xdp_md"),
        P::CgroupSock => Context::Struct("bpf_sock"),
        P::CgroupSockAddr => Context::Struct("bpf_sock_addr"),
        P::SockOps => Context::Struct("bpf_sock_ops"),
        P::SkMsg => Context::Struct("sk_msg_md"),
        P::SkReuseport => Context::Struct("sk_reuseport_md"),
        P::CgroupSysctl => Context::Struct("bpf_sysctl"),
        P::CgroupSockopt => Context::Struct("bpf_sockopt"),
        P::CgroupDevice => Context::Struct("bpf_cgroup_dev_ctx"),
        P::SkLookup => Context::Struct("bpf_sk_lookup"),
        P::Kprobe | P::PerfEvent => Context::Registers,
        P::RawTracepoint | P::RawTracepointWritable => Context::Arguments { whole: false },
        P::Tracing | P::Lsm | P::StructOps => Context::Arguments { whole: true },
        P::Tracepoint => Context::Record,
        _ => Context::Unknown,
    }
}

/// Returns the kind of advice and what is wrong with an access to the context of a program type.
pub(super) fn explain(kind: ProgramType, access: Access) -> Option<(&'static str, String)> {
    let Access { offset, size, writes, .. } = access;
    let misaligned = offset.rem_euclid(size) != 0;
    let text = match context(kind) {
        Context::Struct(name) => return field("context", name, access),
        Context::Unknown => return None,
        _ if misaligned => return Some(("context-misaligned", not_aligned(offset, size))),
        Context::Registers if writes => {
            "The registers of what was interrupted can only be read: `bpf_override_return` changes what a function returns."
                .into()
        }
        Context::Registers => format!(
            "The context is the registers of this architecture, `struct pt_regs`, which ends before byte {}: `pt_regs.parm1`, \
             `pt_regs.ret` and `pt_regs.ip` name the common ones.",
            offset.saturating_add(size)
        ),
        Context::Record if writes => "The record of a tracepoint can only be read.".into(),
        Context::Record if offset < 8 => {
            "The first eight bytes of a tracepoint's record are the tracer's own: its fields begin behind them (`args.NAME` names \
             one)."
                .into()
        }
        Context::Arguments { whole: true } if size != 8 => {
            "The context is an array of 64-bit arguments: load each whole, with `u64` at a multiple of 8 (`args.NAME` names one)."
                .into()
        }
        Context::Arguments { .. } if writes => "The arguments can only be read.".into(),
        Context::Arguments { .. } => format!(
            "The context is an array of 64-bit arguments, and this function or tracepoint has no argument {} to read.",
            offset / 8
        ),
        Context::Record => return None,
    };
    Some(("context", text))
}

/// Returns the kind of advice and what is wrong with an access to a socket pointer of this kind, `tcp_sock`.
pub(super) fn explain_socket(kind: &str, access: Access) -> Option<(&'static str, String)> {
    let name = if kind == "tcp_sock" { "bpf_tcp_sock" } else { "bpf_sock" };
    let (_, text) = field("socket-field", name, access)?;
    let more = match kind {
        "sock_common" => " bpf_sk_fullsock and bpf_skc_to_… give pointers with more fields.",
        _ => "",
    };
    Some(("socket-field", format!("{text}{more}")))
}

fn not_aligned(offset: i64, size: i64) -> String {
    format!(
        "The context is accessed at multiples of the access's size: {offset} is none of {size}."
    )
}

/// Explains an access to a structure of the table that the verifier rejects: the key of the advice, and its text.
fn field(key: &'static str, name: &str, access: Access) -> Option<(&'static str, String)> {
    let Access { offset, size, writes, signed } = access;
    let Struct { fields, size: whole, .. } = STRUCTS.iter().find(|known| known.name == name)?;
    let end = offset.saturating_add(size);
    let touched: Vec<(&str, i64, i64)> = fields
        .split(", ")
        .filter_map(|field| {
            let mut words = field.split(' ');
            let (field, at, bytes) = (words.next()?, words.next()?, words.next()?);
            Some((field, at.parse().ok()?, bytes.parse().ok()?))
        })
        .filter(|(_, at, bytes)| *at < end && offset < at + bytes)
        .collect();
    // Of fields at the same offset, the one with the access's own size is meant.
    let exact = touched.iter().find(|(_, at, bytes)| (*at, *bytes) == (offset, size));
    let Some((first, at, bytes)) = exact.or(touched.first()) else {
        let text = match offset < 0 || end > *whole {
            true => format!(
                "`struct {name}` has {whole} bytes, and bytes {offset} to {} are not in it.",
                end - 1
            ),
            false => format!("No field of `struct {name}` is at bytes {offset} to {}.", end - 1),
        };
        return Some((key, text));
    };
    let lies = format!("`{name}.{first}` lies there, {bytes} bytes at offset {at}");
    let text = if offset.rem_euclid(size) != 0 {
        let key = if key == "context" { "context-misaligned" } else { key };
        return Some((key, format!("{} {lies}.", not_aligned(offset, size))));
    } else if signed {
        let key = if key == "context" { "context-sign" } else { key };
        let unsigned = size * 8;
        return Some((
            key,
            format!(
                "{lies}, and is loaded without a sign: load it with `u{unsigned}`, and extend the sign in the register \
                 (`r0 = (s{unsigned})r0`), if it is a number."
            ),
        ));
    } else if exact.is_none() && (offset < *at || end > at + bytes) {
        format!("The access goes across fields: {lies}. Access each field by itself.")
    } else if writes {
        format!("{lies}, and programs of this type cannot write it, or only as a whole.")
    } else if exact.is_none() && *bytes <= 8 {
        format!(
            "{lies}: load it whole, or another field. Programs of this type may not be allowed to read it at all."
        )
    } else {
        format!("{lies}, and programs of this type cannot read it.")
    };
    Some((key, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Body, Btf, KernelTypes, Kind};
    use crate::kernel::version;
    use crate::requires::{Thing, needs};
    use crate::util::Version;
    use std::collections::HashMap;

    fn load(offset: i64, size: i64) -> Access {
        Access { offset, size, writes: false, signed: false }
    }

    #[test]
    fn the_place_of_an_access_is_read() {
        assert_eq!(refused("invalid bpf_context access off=76 size=4"), Some((76, 4)));
        assert_eq!(refused("R0 invalid sock access off=-4 size=8"), Some((-4, 8)));
        for none in ["", "off=", "off=4", "off=4 size=", "off=x size=4", "off=4 size=0"] {
            assert_eq!(refused(none), None, "{none}");
        }
    }

    #[test]
    fn each_way_to_be_wrong_is_told_from_the_others() {
        let cls = |access| explain(ProgramType::SchedCls, access).unwrap();
        let (key, text) = cls(load(74, 4));
        assert_eq!(key, "context-misaligned");
        assert!(text.contains("74 is none of 4") && text.contains("tc_classid"), "{text}");
        let (key, text) = cls(Access { signed: true, ..load(76, 4) });
        assert_eq!(key, "context-sign");
        assert!(text.contains("__sk_buff.data` lies there, 4 bytes at offset 76"), "{text}");
        let (key, text) = cls(load(200, 4));
        assert_eq!(key, "context");
        assert!(text.contains("192 bytes, and bytes 200 to 203 are not in it"), "{text}");
        assert!(cls(load(40, 8)).1.contains("across fields: `__sk_buff.ifindex`"));
        assert!(cls(load(76, 2)).1.contains("load it whole"));
        assert!(cls(load(76, 4)).1.contains("cannot read it"));
        assert!(cls(Access { writes: true, ..load(0, 4) }).1.contains("cannot write it"));
        assert!(cls(load(181, 1)).1.contains("No field"));
        assert!(cls(load(i64::MAX - 1, 8)).0.starts_with("context"));
    }

    #[test]
    fn fields_that_share_a_place_are_told_by_the_size() {
        let (_, text) = explain(ProgramType::SkLookup, load(0, 8)).unwrap();
        assert!(text.contains("bpf_sk_lookup.sk"), "{text}");
        let (_, text) = explain(ProgramType::SockOps, load(4, 4)).unwrap();
        assert!(text.contains("bpf_sock_ops.reply`"), "{text}");
    }

    #[test]
    fn contexts_that_are_no_structures() {
        let about = |kind, access| explain(kind, access).unwrap().1;
        assert!(about(ProgramType::Kprobe, load(400, 8)).contains("pt_regs.parm1"));
        assert!(about(ProgramType::Tracepoint, load(0, 8)).contains("args.NAME"));
        assert!(about(ProgramType::Lsm, load(0, 4)).contains("`u64`"));
        assert!(about(ProgramType::Tracing, load(64, 8)).contains("no argument 8"));
        assert_eq!(explain(ProgramType::Syscall, load(0, 8)), None);
    }

    /// Fields that were added, and the first version of Linux that has them.
    const ADDED: &[(&str, Version)] = &[
        ("__sk_buff.hwtstamp", Version::new(5, 16)),
        ("__sk_buff.tstamp_type", Version::new(5, 18)),
        ("bpf_sk_lookup.cookie", Version::new(5, 13)),
        ("bpf_sk_lookup.ingress_ifindex", Version::new(5, 17)),
        ("bpf_sock_ops.skb_hwtstamp", Version::new(6, 2)),
        ("sk_reuseport_md.sk", Version::new(5, 14)),
        ("sk_reuseport_md.migrating_sk", Version::new(5, 14)),
    ];

    /// Fields that had another size, that size, and the first version that has the one of today.
    const CHANGED: &[(&str, u32, Version)] = &[
        ("bpf_sock.dst_port", 4, Version::new(5, 18)),
        ("bpf_sk_lookup.remote_port", 4, Version::new(5, 18)),
    ];

    /// Adds the offset and size of each member, those of anonymous ones among them.
    fn members<'b>(btf: &'b Btf, of: u32, start: u32, found: &mut HashMap<&'b str, [u32; 2]>) {
        let Body::Composite { members, .. } = btf.resolve(of).unwrap().body else { panic!("{of}") };
        for member in members.map(Result::unwrap) {
            let offset = start + member.bit_offset / 8;
            match member.name {
                // Padding is an anonymous bit-field.
                "" if member.bits.is_some() => {}
                "" => self::members(btf, member.of, offset, found),
                name => drop(found.insert(name, [offset, btf.size(member.of, name).unwrap()])),
            }
        }
    }

    /// As the kernel itself describes the structures.
    #[test]
    fn layouts_are_those_of_the_kernel() {
        needs!(Btf);
        let kernel = KernelTypes::new();
        let (btf, running) = (kernel.vmlinux().unwrap(), version::running().unwrap());
        for known in STRUCTS {
            let mut kernels = HashMap::new();
            let of = btf.type_id(known.name, Kind::Struct).unwrap();
            members(btf, of, 0, &mut kernels);
            for field in known.fields.split(", ") {
                let mut words = field.split(' ');
                let name = words.next().unwrap();
                let path = format!("{}.{name}", known.name);
                let numbers: Vec<u32> = words.map(|number| number.parse().unwrap()).collect();
                let Some(found) = kernels.get(name) else {
                    let added = ADDED.iter().find(|(field, _)| *field == path);
                    let older = added.is_some_and(|(_, since)| running < *since);
                    assert!(older, "{path} on Linux {running}");
                    continue;
                };
                let changed = CHANGED.iter().find(|(field, ..)| *field == path);
                match changed.filter(|(.., since)| running < *since) {
                    Some((_, size, _)) => {
                        assert!(found == &numbers[..] || *found == [numbers[0], *size], "{path}");
                    }
                    None => assert_eq!(found[..], numbers[..], "{path}"),
                }
            }
        }
    }
}
