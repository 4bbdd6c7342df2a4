//! Users that are not root: with two capabilities, and with the rights that a token delegates.

mod common;
#[path = "rights/raw.rs"]
mod raw;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, role, said, this_test_as};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use rawbpf::attach::{self, Target};
use rawbpf::features::{Feature, Features};
use rawbpf::{
    Errno, Error, ErrorKind, Loader, MapSpec, Program, ProgramSpec, ProgramType, Token, bpf,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Stdio;

const NET_ADMIN: u32 = 12;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

static SEEN: MapSpec = MapSpec::hash("seen", 4, 8, 16).with_types::<u32, u64>();

/// Counts each process that it sees.
static LOOK: ProgramSpec = ProgramSpec::new(
    "look",
    ProgramType::RawTracepoint,
    bpf! {
        call get_current_task;
        r3 = r0;
        r3 += task_struct.tgid;
        r1 = r10;
        r1 += -4;
        r2 = 4;
        call probe_read_kernel;
        *(u64 *)(r10 - 16) = 1;
        r1 = SEEN ll;
        r2 = r10;
        r2 += -4;
        r3 = r10;
        r3 += -16;
        r4 = 0;
        call map_update_elem;
        r0 = 0;
        exit;
    },
);

/// Runs it in a thread that is not root.
fn as_nobody<T: Send>(capabilities: &[u32], run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| {
        let run = || {
            raw::become_nobody(capabilities).unwrap();
            run()
        };
        threads.spawn(run).join().unwrap()
    })
}

#[test]
fn two_capabilities_are_enough_to_trace() {
    needs!(Root, Bpf, Btf);
    as_nobody(&[BPF, PERFMON], || {
        let mut loader = Loader::new();
        let program = loader.load(&LOOK).unwrap_or_else(|error| panic!("{error}"));
        let link =
            attach::attach(&program, &Target::RawTracepoint { name: "sys_enter".into() }).unwrap();
        std::thread::yield_now();
        let process = std::process::id();
        let seen = loader.map(&SEEN).unwrap();
        let value = seen.lookup(&process.to_ne_bytes()).unwrap();
        assert_eq!(value.as_deref(), Some(&1u64.to_ne_bytes()[..]));
        drop(link);
        // Its own programs it may look into; those of others take more.
        let info = program.info().unwrap();
        assert_eq!(info.name, "look");
        let error = Program::open_id(info.id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotPermitted);
        assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
    });
}

#[test]
fn each_capability_that_is_missing_is_named() {
    needs!(Root, Bpf, Btf);
    for (has, lacks) in [
        (&[BPF][..], "lacks CAP_PERFMON;"),
        (&[PERFMON], "lacks CAP_BPF and kernel.unprivileged_bpf_disabled is"),
        (&[], "lacks CAP_BPF"),
    ] {
        let error = as_nobody(has, || Loader::new().load(&LOOK).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::NotPermitted, "{error}");
        assert!(error.to_string().contains(lacks), "{has:?}: {error}");
    }
}

/// Counts packets.
static PACKETS: MapSpec = MapSpec::array("packets", 8, 1).with_types::<u32, u64>();
static COUNT: ProgramSpec = ProgramSpec::new(
    "count",
    ProgramType::Xdp,
    bpf! {
        r1 = PACKETS[0] ll;
        r2 = 1;
        lock *(u64 *)(r1 + 0) += r2;
        r0 = 2;
        exit;
    },
);
const PASS: ProgramSpec<'_, '_> =
    ProgramSpec::new("pass", ProgramType::Xdp, bpf! { r0 = 2; exit; });

fn no_tokens() -> Option<String> {
    match Features::new().has(Feature::Token) {
        Ok(true) => None,
        Ok(false) => Some("tokens came with Linux 6.9".into()),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn a_container_loads_by_a_token() {
    const NAME: &str = "a_container_loads_by_a_token";
    if role().as_deref() == Some("container") {
        return container();
    }
    needs!(Root, Bpf);
    needs_tried!("token", no_tokens());
    let (ours, its) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let mut command = this_test_as(NAME, "container");
    command.stdin(its).stdout(Stdio::piped()).stderr(Stdio::piped());
    raw::in_namespaces(&mut command);
    let child = command.spawn().unwrap();
    // The container has the only other end now.
    drop(command);
    // The container's manager: it makes the file systems that are asked for, with its privileges.
    while let Some((options, fs)) = receive(ours.as_fd()) {
        let made = raw::make(fs.unwrap().as_fd(), &options);
        match &made {
            Ok(mount) => send(ours.as_fd(), "", Some(mount.as_fd())),
            Err(error) => send(ours.as_fd(), &format!("{options}: {error}"), None),
        }
    }
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success() && said(&done).contains("1 passed"), "{}", said(&done));
}

/// In the container: it is root in a user namespace, and has a connection to its manager on standard input.
fn container() {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .unwrap();
    let folder = Folder::new();

    // It has every capability, and none that counts.
    let error = Loader::new().load(&COUNT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotPermitted);
    assert!(error.to_string().contains("only in its user namespace"), "{error}");
    assert!(error.to_string().contains("BPF token"), "{error}");

    let mounted = |name: &str, options: &str| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        send(std::io::stdin().as_fd(), options, Some(raw::open_bpffs().unwrap().as_fd()));
        let (trouble, mount) = receive(std::io::stdin().as_fd()).unwrap();
        raw::put(&mount.unwrap_or_else(|| panic!("{trouble}")), &folder).unwrap();
        folder
    };
    // Everything is lent: maps, their types, programs.
    let any = "delegate_cmds=any,delegate_maps=any,delegate_progs=any,delegate_attachs=any";
    let token = Token::create(mounted("any", any)).unwrap_or_else(|error| panic!("{error}"));
    let mut loader = Loader::new().token(&token);
    let program = loader.load(&COUNT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(program.test_run(&[0; 64], 1).unwrap().returned, 2);
    let packets = loader.map(&PACKETS).unwrap();
    assert_eq!(packets.lookup(&[0; 4]).unwrap().unwrap(), 1u64.to_ne_bytes());
    // Keys and values have types, which are made by the token's right too.
    assert_ne!(packets.info().unwrap().btf_id, 0);

    // The error names the rights that are not delegated, in the words of the mount options.
    let folder = mounted("maps", "delegate_cmds=map_create,delegate_maps=hash");
    let token = Token::create(folder).unwrap();
    let error = Loader::new().token(&token).load(&PASS).unwrap_err();
    let Error::LoadProgram { why: Some(why), .. } = &error else { panic!("{error}") };
    let program_options = options(&why.to_string());
    let mut loader = Loader::new().token(&token);
    loader.map(&SEEN).unwrap();
    let error = loader.load(&COUNT).unwrap_err();
    let Error::CreateMap { why: Some(why), .. } = &error else { panic!("{error}") };
    let map_options = options(&why.to_string());

    let token = Token::create(mounted("program", &program_options)).unwrap();
    Loader::new().token(&token).load(&PASS).unwrap_or_else(|error| panic!("{error}"));
    let token = Token::create(mounted("map", &map_options)).unwrap();
    Loader::new().token(&token).map(&PACKETS).unwrap_or_else(|error| panic!("{error}"));

    let error = Token::create(mounted("nothing", "")).unwrap_err();
    assert!(matches!(error, Error::Call { errno: Errno(libc::ENOENT), .. }), "{error:?}");
    assert!(error.to_string().contains("delegate_cmds="), "{error}");

    // Nor does the one without the capability in the namespace get one.
    let folder = mounted("last", any);
    let error = as_nobody_inside(&[NET_ADMIN], || Token::create(&folder).unwrap_err());
    assert!(error.to_string().contains("lacks CAP_BPF"), "{error}");
}

/// Runs it in a thread with fewer capabilities: here there is no other user than root.
fn as_nobody_inside<T: Send>(capabilities: &[u32], run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| {
        let run = || {
            raw::keep(capabilities).unwrap();
            run()
        };
        threads.spawn(run).join().unwrap()
    })
}

/// The options at the end of a message.
fn options(why: &str) -> String {
    why.rsplit_once(' ').unwrap().1.to_owned()
}

/// In the first user namespace there is nothing to lend.
#[test]
fn root_itself_gets_no_token() {
    needs!(Root, Bpf);
    needs_tried!("token", no_tokens());
    std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = Folder::new();
        let place = folder.path();
        let error = Token::create(place).unwrap_err();
        assert!(matches!(error, Error::Call { errno: Errno(libc::EINVAL), .. }), "{error:?}");
        mount(Some("bpf"), place, Some("bpf"), MsFlags::empty(), Some("delegate_cmds=any"))
            .unwrap();
        let error = Token::create(place).unwrap_err();
        assert!(error.to_string().contains("first user namespace"), "{error}");
    })
    .join()
    .unwrap();
}

fn send(socket: BorrowedFd<'_>, text: &str, fd: Option<BorrowedFd<'_>>) {
    let fds: Vec<_> = fd.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let text = format!("{text}\n");
    let parts = [IoSlice::new(text.as_bytes())];
    let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &parts, rights, MsgFlags::empty(), None).unwrap();
}

/// A message; `None` if the other has gone.
fn receive(socket: BorrowedFd<'_>) -> Option<(String, Option<OwnedFd>)> {
    let mut bytes = [0; 512];
    let mut space = nix::cmsg_space!([i32; 1]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
    let fd = message.cmsgs().unwrap().find_map(|one| match one {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let len = message.bytes;
    let text = std::str::from_utf8(&bytes[..len]).unwrap().strip_suffix('\n')?.to_owned();
    Some((text, fd.map(raw::received)))
}

/// Maintained kernels require CAP_SYS_ADMIN for the uprobe PMU since July 2025; those before accept
/// CAP_PERFMON.
#[test]
fn a_uprobe_that_wants_more_says_what() {
    needs!(Root, Bpf, Uprobe);
    let target = Target::uprobe("/proc/self/exe", "main");
    let attached = as_nobody(&[BPF, PERFMON], || {
        let program = Loader::new().load(&KPROBE).unwrap_or_else(|error| panic!("{error}"));
        attach::attach(&program, &target).map(drop)
    });
    if let Err(error) = attached {
        assert_eq!(error.kind(), ErrorKind::NotPermitted, "{error}");
        let words = error.to_string();
        assert!(
            words.contains("lacks CAP_SYS_ADMIN;") && words.contains("uprobe.multi"),
            "{words}"
        );
    }
}

const KPROBE: ProgramSpec<'_, '_> =
    ProgramSpec::new("nothing", ProgramType::Kprobe, bpf! { r0 = 0; exit; });

/// Without sysfs nobody knows whether the kernel has uprobes: that is said, and not that it was built without.
#[test]
fn without_sysfs_no_kernel_is_blamed() {
    needs!(Root, Bpf, Uprobe);
    let (file, function) = ("/proc/self/exe", "main");
    for (target, config) in [
        (Target::uprobe(file, function), "CONFIG_UPROBE_EVENTS"),
        (Target::kprobe("vfs_read"), "CONFIG_KPROBE_EVENTS"),
    ] {
        let (best, pmu) = std::thread::scope(|threads| {
            let without = || {
                unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
                mount(Some("none"), "/sys", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
                let program = Loader::new().load(&KPROBE).unwrap_or_else(|error| panic!("{error}"));
                // So that it cannot mount what it misses.
                raw::keep(&[BPF, PERFMON]).unwrap();
                let best = attach::attach(&program, &target).map(drop);
                let pmu = match &target {
                    Target::Kprobe { .. } => {
                        attach::kprobe::attach(&program, &target, attach::kprobe::ProbeMethod::Pmu)
                    }
                    _ => {
                        attach::uprobe::attach(&program, &target, attach::uprobe::ProbeMethod::Pmu)
                    }
                };
                (best, pmu.map(drop))
            };
            threads.spawn(without).join().unwrap()
        });
        let best = best.unwrap_err().to_string();
        assert!(!best.contains(config) && best.contains("tracefs"), "{best}");
        let pmu = pmu.unwrap_err().to_string();
        assert!(!pmu.contains(config) && pmu.contains("/sys/bus/event_source/devices"), "{pmu}");
    }
}
