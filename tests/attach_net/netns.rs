//! Programs of network namespaces.

use super::common::alone;
use super::common::requires::{Thing, needs};
use super::{COUNT, FRAME, PACKETS, Watch, counting, in_own_network, raw};
use rawbpf::attach::{self, Target};
use rawbpf::{Error, ProgramSpec};
use std::fs::File;
use std::os::fd::AsRawFd;

/// Whatever it sees, and decides nothing: `SK_PASS`.
static COUNT_LOOKUPS: ProgramSpec = counting! { "count_lookups", SkLookup, 0, 1, r6 = 0; };
/// `BPF_OK`, and says nothing of the headers.
static COUNT_HEADERS: ProgramSpec = counting! { "count_headers", FlowDissector, 0, 0, r6 = 0; };

/// It runs as often as it should while it is attached, in that namespace alone.
fn runs_in_its_namespace(spec: &ProgramSpec<'_, '_>, kind: &str, trigger: fn()) {
    in_own_network(|| {
        let here = File::open("/proc/thread-self/ns/net").unwrap();
        let by_path = format!("netns:/proc/self/fd/{}:{kind}", here.as_raw_fd());
        for target in [format!("netns::{kind}"), by_path] {
            let target: Target = target.parse().unwrap();
            let watch = Watch::new(&target.spec(spec));
            assert_eq!(watch.during(trigger), 0);
            let link = attach::attach(&watch.program, &target);
            let link = link.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((link.target(), watch.links()), (&target, 1));
            assert_eq!(watch.during(trigger), PACKETS, "{target}");
            assert_eq!(watch.during(|| in_own_network(trigger)), 0, "{target}");
            drop(link);
            assert_eq!((watch.during(trigger), watch.links()), (0, 0), "{target}");
        }
    });
}

#[test]
fn a_program_looks_for_the_socket_of_each_packet() {
    let _alone = alone();
    needs!(Bpf, Root);
    runs_in_its_namespace(&COUNT_LOOKUPS, "sk_lookup", super::ping);
}

#[test]
fn a_program_reads_the_headers_of_a_frame() {
    let _alone = alone();
    needs!(Bpf, Root);
    // The kernel looks for the headers of what a packet socket sends.
    runs_in_its_namespace(&COUNT_HEADERS, "flow_dissector", || {
        let socket = raw::Packets::of(raw::LOOPBACK);
        (0..PACKETS).for_each(|_| socket.send(&[0xff; FRAME]));
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let target: Target = "netns::flow_dissector".parse().unwrap();
        let watch = Watch::new(&target.spec(&COUNT_HEADERS));
        let attach = |target: &str| attach::attach(&watch.program, &target.parse().unwrap());
        let _link = attach("netns::flow_dissector").unwrap();
        let error = attach("netns::flow_dissector").unwrap_err();
        assert!(error.to_string().contains("one flow dissector"), "{error}");
        let error = attach("netns:/proc/version:flow_dissector").unwrap_err();
        assert!(error.to_string().contains("is no network namespace"), "{error}");
        let error = attach("netns:/no/such/file:flow_dissector").unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
        let error = attach("netns::sk_lookup").unwrap_err();
        assert!(
            error.to_string().contains("type is flow_dissector, expected sk_lookup"),
            "{error}"
        );
    });
}
