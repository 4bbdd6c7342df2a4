//! XDP.

use super::common::alone;
use super::common::requires::{Thing, needs, needs_tried};
use super::common::{Folder, wait_until};
use super::{COUNT, FRAME, PACKETS, Watch, counting, in_own_network, mount_bpf, raw};
use nix::mount::umount;
use rawbpf::attach::xdp::{self, XdpMethod};
use rawbpf::attach::{self, Target};
use rawbpf::{Errno, Error, ErrorKind, Loader, ProgramSpec, ProgramType, bpf};
use std::os::fd::{AsFd, AsRawFd};

/// `XDP_PASS` of what is between `data` and `data_end` of `struct xdp_md`.
static COUNT_XDP: ProgramSpec = counting! { "count_xdp", Xdp, FRAME, 2,
    r2 = *(u32 *)(r1 + 0);
    r6 = *(u32 *)(r1 + 4);
    r6 -= r2;
};

const METHODS: [XdpMethod; 3] = [XdpMethod::Link, XdpMethod::Netlink, XdpMethod::Best];

/// The kernel's constants for the mode of a program: native or generic.
const NATIVE: u8 = 1;
const GENERIC: u8 = 2;

#[test]
fn a_program_sees_packets_while_it_is_on_a_device() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let watch = Watch::new(&COUNT_XDP);
        for method in METHODS {
            // Loopback has no driver that could do it.
            for target in ["xdp:lo", "xdpgeneric:lo"] {
                let target: Target = target.parse().unwrap();
                assert_eq!(watch.counts(), 0);
                let link = xdp::attach(&watch.program, &target, method)
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(link.target(), &target);
                assert_eq!(watch.counts(), PACKETS, "{method:?} {target}");
                assert_eq!(raw::xdp(raw::LOOPBACK), (GENERIC, watch.id()));
                assert_eq!(watch.links(), usize::from(method != XdpMethod::Netlink));
                assert_eq!(link.as_bpf_link().is_some(), method != XdpMethod::Netlink);
                drop(link);
                assert_eq!(watch.counts(), 0, "{method:?} {target}");
                assert_eq!((raw::xdp(raw::LOOPBACK), watch.links()), ((0, 0), 0));
            }
        }
        let link = watch.attach("xdp:lo");
        assert_eq!(watch.counts(), PACKETS);
        drop(link);
        assert_eq!(watch.counts(), 0);
    });
}

#[test]
fn another_program_takes_the_place_at_once() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let (first, second) = (Watch::new(&COUNT_XDP), Watch::new(&COUNT_XDP));
        let link = first.attach("xdp:lo");
        assert_eq!((first.counts(), second.counts()), (PACKETS, 0));
        link.update(&second.program).unwrap();
        assert_eq!((first.counts(), second.counts()), (0, PACKETS));
        assert_eq!((first.links(), second.links()), (0, 1));
        assert_eq!(raw::xdp(raw::LOOPBACK), (GENERIC, second.id()));
        // An error changes nothing.
        let filter = ProgramSpec::new("other", ProgramType::SocketFilter, bpf! { r0 = 0; exit; });
        let error = link.update(&Loader::new().load(&filter).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Call { errno: Errno(libc::EINVAL), .. }), "{error}");
        assert_eq!((first.counts(), second.counts()), (0, PACKETS));
        drop(link);
        assert_eq!((first.counts(), second.counts()), (0, 0));
        let link = xdp::attach(&first.program, &"xdp:lo".parse().unwrap(), XdpMethod::Netlink);
        let error = link.unwrap().update(&second.program).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    });
}

#[test]
fn a_driver_runs_it_natively() {
    let _alone = alone();
    needs!(Bpf, Root);
    let no_veth = in_own_network(|| raw::make_veth().err().map(|error| error.to_string()));
    needs_tried!("veth", no_veth);
    in_own_network(|| {
        let [left, right] = raw::make_veth().unwrap();
        let watch = Watch::new(&COUNT_XDP);
        let (from, to) = (raw::Packets::of(left), raw::Packets::of(right));
        // Of an unknown type, which no protocol handles.
        let mut frame = [0xff; FRAME];
        (frame[12], frame[13]) = (0x88, 0xb5);
        // The packets of a virtual wire are handled later: it is over when they have come out behind the program.
        let send = || {
            for _ in 0..PACKETS {
                from.send(&frame);
                while to.receive() != frame {}
            }
        };
        for method in METHODS {
            for (target, mode) in
                [("xdpdrv:right", NATIVE), ("xdp:right", NATIVE), ("xdpgeneric:right", GENERIC)]
            {
                assert_eq!(watch.during(send), 0);
                let link = xdp::attach(&watch.program, &target.parse().unwrap(), method)
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(watch.during(send), PACKETS, "{method:?} {target}");
                assert_eq!(raw::xdp(right), (mode, watch.id()));
                drop(link);
                assert_eq!(watch.during(send), 0, "{method:?} {target}");
                assert_eq!(raw::xdp(right), (0, 0));
            }
        }
        // Both modes at once are one too many.
        for method in METHODS {
            let _native = watch.attach("xdpdrv:right");
            let generic = "xdpgeneric:right".parse().unwrap();
            let error = xdp::attach(&watch.program, &generic, method).unwrap_err();
            assert!(error.to_string().contains("in the other mode"), "{error}");
        }
    });
}

#[test]
fn a_driver_that_cannot_is_said_to_be_unable() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let watch = Watch::new(&COUNT_XDP);
        let target: Target = "xdpdrv:lo".parse().unwrap();
        for method in METHODS {
            let error = xdp::attach(&watch.program, &target, method).unwrap_err();
            let words = error.to_string();
            assert!(words.contains("cannot attach program `count_xdp` to xdpdrv:lo"), "{words}");
            assert!(words.contains("take xdpgeneric:"), "{words}");
            match error {
                // The kernel's own words.
                Error::Attach { step: "RTM_SETLINK", errno, message, .. } => {
                    assert_eq!((method, errno), (XdpMethod::Netlink, Errno(libc::EOPNOTSUPP)));
                    let message = message.unwrap_or_default().to_lowercase();
                    assert!(message.contains("native"), "{message}");
                }
                Error::Attach { step: "BPF_LINK_CREATE", errno, .. } => {
                    assert_ne!(method, XdpMethod::Netlink);
                    assert_eq!(errno, Errno(libc::EOPNOTSUPP));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(raw::xdp(raw::LOOPBACK), (0, 0));
        }
    });
}

#[test]
fn there_is_room_for_one() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let (first, second) = (Watch::new(&COUNT_XDP), Watch::new(&COUNT_XDP));
        let target: Target = "xdpgeneric:lo".parse().unwrap();
        for one in METHODS {
            for other in METHODS {
                let link = xdp::attach(&first.program, &target, one).unwrap();
                let error = xdp::attach(&second.program, &target, other).unwrap_err();
                let words = error.to_string();
                assert!(words.contains("EBUSY") && words.contains("another program"), "{words}");
                assert_eq!((first.counts(), second.counts()), (PACKETS, 0), "{one:?} {other:?}");
                drop(link);
                assert_eq!(raw::xdp(raw::LOOPBACK), (0, 0), "{one:?} {other:?}");
            }
        }
    });
}

#[test]
fn what_somebody_else_has_put_there_meanwhile_stays() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let (ours, theirs) = (Watch::new(&COUNT_XDP), Watch::new(&COUNT_XDP));
        let target: Target = "xdpgeneric:lo".parse().unwrap();
        let link = xdp::attach(&ours.program, &target, XdpMethod::Netlink).unwrap();
        raw::set_xdp(raw::LOOPBACK, Some(&theirs.program.as_fd().as_raw_fd()));
        assert_eq!((ours.counts(), theirs.counts()), (0, PACKETS));
        drop(link);
        assert_eq!(raw::xdp(raw::LOOPBACK), (GENERIC, theirs.id()));
        raw::set_xdp(raw::LOOPBACK, None);
        assert_eq!(theirs.counts(), 0);
    });
}

/// A link can be dropped in any network namespace.
#[test]
fn dropping_it_in_another_network_takes_it_off_where_it_is() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let watch = Watch::new(&COUNT_XDP);
        let target: Target = "xdpgeneric:lo".parse().unwrap();
        for method in METHODS {
            let link = xdp::attach(&watch.program, &target, method).unwrap();
            in_own_network(move || drop(link));
            assert_eq!(raw::xdp(raw::LOOPBACK), (0, 0), "{method:?}");
        }
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    let _alone = alone();
    needs!(Bpf, Root);
    static KPROBE: ProgramSpec =
        ProgramSpec::new("kprobe", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
    in_own_network(|| {
        let watch = Watch::new(&COUNT_XDP);
        for (name, offered) in
            [("l0", vec!["lo"]), ("l/o", vec!["lo"]), ("longer-than-any-name", vec![])]
        {
            let target = Target::Xdp { device: name.into(), mode: attach::XdpMode::Any };
            let error = attach::attach(&watch.program, &target).unwrap_err();
            let Error::NotFound { what: "network device", name: asked, nearest, .. } = &error
            else {
                panic!("{error:?}")
            };
            assert_eq!(
                (asked.as_str(), nearest),
                (name, &offered.into_iter().map(String::from).collect())
            );
        }
        let kprobe = Loader::new().load(&KPROBE).unwrap();
        for method in METHODS {
            let target = "xdp:lo".parse().unwrap();
            let error = xdp::attach(&kprobe, &target, method).unwrap_err();
            assert!(error.to_string().contains("type is kprobe, expected xdp"), "{error}");
            assert_eq!(error.kind(), ErrorKind::Failed);
        }
        let target = "tc:lo/ingress".parse().unwrap();
        let error = xdp::attach(&watch.program, &target, XdpMethod::Best).unwrap_err();
        assert!(matches!(error, Error::Target { .. }), "{error:?}");
    });
}

/// A pin keeps a program on its device when its link is dropped.
#[test]
fn a_link_can_be_pinned_and_a_message_cannot() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let folder = Folder::new();
        mount_bpf(folder.path());
        let watch = Watch::new(&COUNT_XDP);
        let target: Target = "xdp:lo".parse().unwrap();
        let pin = folder.path().join("link");
        let link = xdp::attach(&watch.program, &target, XdpMethod::Link).unwrap();
        link.pin(&pin).unwrap();
        drop(link);
        assert_eq!(watch.counts(), PACKETS);
        std::fs::remove_file(&pin).unwrap();
        // The kernel has time for what no descriptor held.
        wait_until("the program is off", || raw::xdp(raw::LOOPBACK) == (0, 0));
        assert_eq!(watch.counts(), 0);
        let link = xdp::attach(&watch.program, &target, XdpMethod::Netlink).unwrap();
        assert_eq!(link.pin(&pin).unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(!pin.exists());
        umount(folder.path()).unwrap();
    });
}
