//! Messages as `include/uapi/linux/netlink.h` lays them out, and answers of real kernels and of none.

use super::*;
use crate::requires::{Thing, needs};
use proptest::prelude::*;

/// The numbers of a message in the byte order of the machine.
fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn short(number: u16) -> [u8; 2] {
    number.to_ne_bytes()
}

fn word(number: u32) -> [u8; 4] {
    number.to_ne_bytes()
}

#[test]
fn a_message_is_laid_out_as_the_kernel_reads_it() {
    let mut message = Message::new(RTM_SETLINK, 0, &[7; 16])
        .with(3, b"lo\0")
        .with_nested(43, &[(1, &word(9)), (3, &word(2))]);
    message.finish(5);
    let expected = bytes(&[
        // nlmsg_len, nlmsg_type, nlmsg_flags (request, acknowledge), nlmsg_seq, nlmsg_pid
        &word(60),
        &short(19),
        &short(5),
        &word(5),
        &word(0),
        &[7; 16],
        // nla_len does not count what fills it up.
        &short(7),
        &short(3),
        b"lo\0\0",
        // A nested attribute, with the flag that says so.
        &short(20),
        &short(43 | 1 << 15),
        &short(8),
        &short(1),
        &word(9),
        &short(8),
        &short(3),
        &word(2),
    ]);
    assert_eq!(message.0, expected);
    assert_eq!(words(&message.0), "RTM_SETLINK");
    // A dump ends by itself.
    let dump = Message::new(RTM_GETLINK, DUMP, &[]);
    assert_eq!(dump.0[6..8], short(0x301));
}

#[test]
fn an_error_has_the_kernels_words() {
    let negative = (-libc::EBUSY).to_ne_bytes();
    let request = bytes(&[&word(20), &[0; 12], &[1, 2, 3, 4]]);
    let text = bytes(&[&short(9), &short(ERROR_TEXT), b"busy\0\0\0\0"]);
    let said = |flags, parts: &[&[u8]]| end("x", NLMSG_ERROR, flags, &bytes(parts));
    let refusal = |said: &str| {
        Err(Refusal { step: "x", errno: Errno(libc::EBUSY), said: said.into(), lost: false })
    };
    let header = &request[..16];
    assert_eq!(said(CAPPED | ACK_TLVS, &[&negative, header, &text]), refusal("busy"));
    assert_eq!(said(ACK_TLVS, &[&negative, &request, &text]), refusal("busy"));
    assert_eq!(said(0, &[&negative, &request]), refusal(""));
    // What is there is not read as what it is not said to be.
    assert_eq!(said(CAPPED, &[&negative, header, &text]), refusal(""));
    assert_eq!(said(0, &[&word(0), &request]), Ok(()));
    assert_eq!(said(0, &[]), Err(Refusal::new("x", Errno(libc::EIO))));
    assert_eq!(end("x", NLMSG_DONE, 0, &[]), Ok(()));
    assert_eq!(end("x", NLMSG_DONE, 0, &negative), refusal(""));
}

/// All that can be read out of bytes.
fn read(received: &[u8]) -> usize {
    let mut total = 0;
    for (kind, flags, _, body) in messages(received) {
        total += body.len() + HEADER;
        let answer = Answer { kind, body };
        let _ = (answer.word(0), answer.word(13), end("x", kind, flags, body));
        let inside: usize = answer.attributes(20).map(|(_, value)| value.len() + 4).sum();
        assert!(inside <= body.len());
        let _ = (answer.attributes(3).text(1), answer.attributes(0).word(2));
    }
    total
}

proptest! {
    #[test]
    fn no_bytes_are_read_past_their_end(received in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&received) <= received.len());
    }

    /// Most random bytes are no message; these are nearly one.
    #[test]
    fn no_damaged_message_is_read_past_its_end(
        kind in 1u16..50,
        flags in any::<u16>(),
        attributes in prop::collection::vec((0u16..5, prop::collection::vec(any::<u8>(), 0..9)), 0..5),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut message = Message::new(kind, flags, &[0; 20]);
        for (kind, value) in &attributes {
            message = message.with(*kind, value);
        }
        message.finish(1);
        let whole = message.0.len();
        prop_assert_eq!(read(&message.0), whole);
        let at = at.index(whole);
        message.0[at] = byte;
        message.0.truncate(cut.index(whole + 1));
        prop_assert!(read(&message.0) <= message.0.len());
    }
}

#[test]
fn the_kernel_answers() {
    needs!(Root);
    let mut netlink = Netlink::open().unwrap();
    let get = |name: &[u8]| Message::new(RTM_GETLINK, 0, &[0; 16]).with(3, name);
    let mut seen = Vec::new();
    netlink
        .ask(get(b"lo\0"), |answer| {
            seen.push((answer.kind, answer.word(4), answer.attributes(16).text(3).unwrap()));
        })
        .unwrap();
    assert_eq!(seen, [(RTM_NEWLINK, 1, "lo".to_owned())]);

    let mut names = Vec::new();
    let all = Message::new(RTM_GETLINK, DUMP, &[0; 16]);
    netlink.ask(all, |answer| names.extend(answer.attributes(16).text(3))).unwrap();
    assert!(names.iter().any(|name| name == "lo"), "{names:?}");

    let none = netlink.ask(get(b"no-such-one\0"), |answer| panic!("{answer:?}")).unwrap_err();
    assert_eq!((none.step, none.errno), ("RTM_GETLINK", Errno(libc::ENODEV)));

    // `struct tcmsg`: the device, no handle, the root.
    let mut structure = [0; 20];
    put(&mut structure, 4, &1u32.to_ne_bytes());
    put(&mut structure, 12, &u32::MAX.to_ne_bytes());
    let unknown = Message::new(RTM_NEWQDISC, CREATE, &structure).with(1, b"no_such_kind\0");
    let refusal = netlink.ask(unknown, |answer| panic!("{answer:?}")).unwrap_err();
    assert_eq!((refusal.step, refusal.errno), ("RTM_NEWQDISC", Errno(libc::ENOENT)));
    assert!(refusal.said.contains("qdisc"), "{refusal:?}");
}
