//! Control groups.

use super::common::alone;
use super::common::requires::{Thing, needs, needs_tried};
use super::common::{role, said, this_test_as, wait_until};
use super::{COUNT, IP, PACKETS, Watch, counting, in_own_network, ping, raw, udp};
use rawbpf::attach::cgroup::{self, CgroupMethod};
use rawbpf::attach::{self, Target};
use rawbpf::{AttachType, Errno, Error, ErrorKind, Loader, ProgramSpec, ProgramType, bpf};
use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

const METHODS: [CgroupMethod; 3] =
    [CgroupMethod::Link, CgroupMethod::ProgAttach, CgroupMethod::Best];

/// The mount point of control groups of version 2.
fn root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    mounts.find_map(|mut words| {
        let (place, kind) = (words.nth(1)?, words.next()?);
        (kind == "cgroup2").then(|| place.into())
    })
}

fn no_root() -> Option<String> {
    root().is_none().then(|| "no cgroup2 file system is mounted".into())
}

/// A control group, gone when dropped.
struct Group(PathBuf);

impl Group {
    fn new() -> Group {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rawbpf-test-{}-{count}", std::process::id());
        Group::at(root().unwrap().join(name))
    }

    fn at(path: PathBuf) -> Group {
        fs::create_dir(&path).unwrap();
        Group(path)
    }

    fn file(&self) -> File {
        File::open(&self.0).unwrap()
    }

    fn target(&self, attach_type: AttachType) -> Target {
        Target::Cgroup { path: self.0.clone(), attach_type }
    }

    fn programs(&self, attach_type: AttachType) -> Vec<u32> {
        raw::programs_of(self.file(), attach_type as u32).unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Processes that ended a moment ago may be in it still.
        super::common::wait_until("the control group is empty", || fs::remove_dir(&self.0).is_ok());
    }
}

/// Runs a test in a process of its own, which is in a control group alone and in a network of its own.
fn alone_in(test: &str, body: impl FnOnce(&Group) + Send) {
    match role() {
        Some(path) => {
            let group = std::mem::ManuallyDrop::new(Group(path.into()));
            fs::write(group.0.join("cgroup.procs"), "0").unwrap();
            in_own_network(|| body(&group));
        }
        None => {
            let group = Group::new();
            let output = this_test_as(test, group.0.to_str().unwrap()).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
        }
    }
}

/// Every way of attaching, what makes it run, and how often.
type Row = (AttachType, u32, fn());

/// Counts every run, whatever the length, which is 0 for all.
static COUNT_ALL: ProgramSpec = counting! { "count_all", CgroupSkb, 0, 1, r6 = 0; };

/// `CGROUP_SKB` sees packets from the header of IP on.
static COUNT_PACKETS: ProgramSpec = counting! { "count_packets", CgroupSkb, IP, 1,
    r6 = *(u32 *)(r1 + 0);
};

fn times(mut body: impl FnMut()) {
    for _ in 0..PACKETS {
        body();
    }
}

fn connected() -> UdpSocket {
    let socket = udp();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    socket
}

fn read_sysctl() {
    let mut room = [0; 64];
    let mut file = File::open("/proc/sys/kernel/ostype").unwrap();
    assert!(file.read(&mut room).unwrap() > 0);
}

#[test]
fn programs_run_while_they_are_attached() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("cgroup2", no_root());
    use AttachType as A;
    let rows: [Row; 16] = [
        (A::CgroupInetIngress, 1, ping),
        (A::CgroupInetEgress, 1, ping),
        (A::CgroupInetSockCreate, 1, || times(|| drop(udp()))),
        (A::CgroupInetSockRelease, 1, || times(|| drop(udp()))),
        (A::CgroupInet4Bind, 1, || times(|| drop(udp()))),
        (A::CgroupInet4PostBind, 1, || times(|| drop(udp()))),
        (A::CgroupInet4Connect, 1, || times(|| drop(connected()))),
        (A::CgroupUdp4Sendmsg, 1, ping),
        (A::CgroupUdp4Recvmsg, 1, ping),
        // Sending to itself takes the address each time.
        (A::CgroupInet4Getsockname, 1, ping),
        (A::CgroupInet4Getpeername, 1, || {
            let socket = connected();
            times(|| assert!(socket.peer_addr().is_ok()));
        }),
        (A::CgroupSetsockopt, 1, || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            times(|| socket.set_broadcast(true).unwrap());
        }),
        (A::CgroupGetsockopt, 1, || {
            let socket = udp();
            times(|| assert!(!socket.broadcast().unwrap()));
        }),
        (A::CgroupSysctl, 1, || times(read_sysctl)),
        (A::CgroupDevice, 1, || times(|| drop(File::open("/dev/null").unwrap()))),
        // Connecting, being connected, and more of a connection's life.
        (A::CgroupSockOps, 2, || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            times(|| {
                let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                drop((stream, listener.accept().unwrap()));
            });
        }),
    ];
    alone_in("cgroup::programs_run_while_they_are_attached", move |group| {
        for (attach_type, least, trigger) in rows {
            let target = group.target(attach_type);
            let watch = Watch::new(&target.spec(&COUNT_ALL));
            let exactly = least == 1;
            for method in METHODS {
                assert_eq!(watch.during(trigger), 0);
                let link = cgroup::attach(&watch.program, &target, method)
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(link.target(), &target);
                let (seen, wanted) = (watch.during(trigger), u64::from(least) * PACKETS);
                let right = if exactly { seen == wanted } else { seen >= wanted };
                assert!(right, "{attach_type} {method:?}: {seen} and not {wanted}");
                assert_eq!(group.programs(attach_type), [watch.id()]);
                assert_eq!(watch.links(), usize::from(method != CgroupMethod::ProgAttach));
                drop(link);
                assert_eq!(watch.during(trigger), 0, "{attach_type} {method:?}");
                assert_eq!((group.programs(attach_type), watch.links()), (vec![], 0));
            }
        }
    });
}

#[test]
fn several_programs_are_in_one_group() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("cgroup2", no_root());
    alone_in("cgroup::several_programs_are_in_one_group", |group| {
        let target = group.target(AttachType::CgroupInetEgress);
        let spec = target.spec(&COUNT_PACKETS);
        let (one, two) = (Watch::new(&spec), Watch::new(&spec));
        let both = || {
            let before = (one.count.lookup(0).unwrap(), two.count.lookup(0).unwrap());
            ping();
            (one.count.lookup(0).unwrap() - before.0, two.count.lookup(0).unwrap() - before.1)
        };
        for (first, second) in [
            (CgroupMethod::Link, CgroupMethod::ProgAttach),
            (CgroupMethod::ProgAttach, CgroupMethod::Link),
        ] {
            let link = cgroup::attach(&one.program, &target, first).unwrap();
            let other = cgroup::attach(&two.program, &target, second).unwrap();
            assert_eq!(both(), (PACKETS, PACKETS), "{first:?}");
            assert_eq!(group.programs(AttachType::CgroupInetEgress), [one.id(), two.id()]);
            drop(link);
            assert_eq!(both(), (0, PACKETS), "{first:?}");
            drop(other);
            assert_eq!(both(), (0, 0), "{first:?}");
        }
    });
}

/// Nothing keeps a control group alive, and a link to one that is gone can be dropped.
#[test]
fn a_group_can_go_before_its_programs() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("cgroup2", no_root());
    for method in METHODS {
        let group = Group::new();
        let target = group.target(AttachType::CgroupInetEgress);
        let watch = Watch::new(&target.spec(&COUNT_PACKETS));
        let link = cgroup::attach(&watch.program, &target, method).unwrap();
        drop(group);
        drop(link);
        assert_eq!(watch.links(), 0);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("cgroup2", no_root());
    static KPROBE: ProgramSpec =
        ProgramSpec::new("kprobe", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
    let above = Group::new();
    let below = Group::at(above.0.join("below"));
    let egress = AttachType::CgroupInetEgress;
    let watch = Watch::new(&above.target(egress).spec(&COUNT_PACKETS));
    for method in METHODS {
        // Of another type, and for another way of attaching.
        let kprobe = Loader::new().load(&KPROBE).unwrap();
        let error = cgroup::attach(&kprobe, &above.target(egress), method).unwrap_err();
        assert!(error.to_string().contains("type is kprobe, expected cgroup_skb"), "{error}");
        let bind = Watch::new(&above.target(AttachType::CgroupInet4Bind).spec(&COUNT_ALL));
        let connect = above.target(AttachType::CgroupInet4Connect);
        let error = cgroup::attach(&bind.program, &connect, method).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("attach type is cgroup_inet4_bind, expected cgroup_inet4_connect"),
            "{error}"
        );
    }
    // No group at all, one that is misspelled, and a folder that is none.
    let parent = below.0.parent().unwrap();
    for (path, nearest) in [
        (parent.join("bellow"), below.0.clone()),
        ("/no/such/folder".into(), root().unwrap()),
        ("/proc".into(), root().unwrap()),
    ] {
        for method in METHODS {
            let target = Target::Cgroup { path: path.clone(), attach_type: egress };
            let error = cgroup::attach(&watch.program, &target, method).unwrap_err();
            let Error::NotFound { what: "control group", nearest: names, .. } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(names[0], nearest.to_str().unwrap(), "{error}");
        }
    }
    let file = Target::Cgroup { path: "/proc/version".into(), attach_type: egress };
    let error = attach::attach(&watch.program, &file).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error:?}");

    // A program that is there alone allows no other, in its group and below.
    let theirs = Watch::new(&above.target(egress).spec(&COUNT_PACKETS));
    raw::attach_alone(above.file(), &theirs.program, egress as u32);
    for group in [&above, &below] {
        for method in METHODS {
            let error = cgroup::attach(&watch.program, &group.target(egress), method).unwrap_err();
            let Error::Attach { errno: Errno(libc::EPERM), why: None, .. } = &error else {
                panic!("{error:?}")
            };
            assert!(error.to_string().contains("allows no others"), "{error}");
            assert_eq!(error.kind(), ErrorKind::NotPermitted);
        }
    }
    assert_eq!(above.programs(egress), [theirs.id()]);
}

/// A security hook for the processes of one group, which the kernel looks up by its name.
#[test]
fn a_security_hook_is_for_a_group() {
    let _alone = alone();
    needs!(Bpf, Root, Btf, Lsm);
    needs_tried!("cgroup2", no_root());
    fn spec(target: &Target) -> ProgramSpec<'_, '_> {
        target.spec(&COUNT_ALL).with_target("socket_bind")
    }
    let probe = Target::Cgroup { path: "/".into(), attach_type: AttachType::LsmCgroup };
    let refused = Loader::new().load(&spec(&probe)).err();
    needs_tried!("lsm_cgroup", refused.map(|error| error.to_string()));
    alone_in("cgroup::a_security_hook_is_for_a_group", |group| {
        let target = group.target(AttachType::LsmCgroup);
        let watch = Watch::new(&spec(&target));
        let bind = || times(|| drop(udp()));
        for method in METHODS {
            assert_eq!(watch.during(bind), 0);
            let link = cgroup::attach(&watch.program, &target, method)
                .unwrap_or_else(|error| panic!("{error}"));
            // The kernel takes the way from the hook to control groups down some time after the last program has gone, and
            // if there is a new one by then it may go both ways (seen on 6.12).
            let what = format!("each call is seen once: {method:?}");
            wait_until(&what, || watch.during(bind) == PACKETS);
            drop(link);
            assert_eq!(watch.during(bind), 0, "{method:?}");
        }
    });
}
