//! Printing of packets, for lessons 17 and 18.

use std::net::Ipv4Addr;

/// From whom, to whom, and of which protocol a packet is, as far as it is IPv4 in an Ethernet frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    /// Its number: 1 ICMP, 6 TCP, 17 UDP.
    pub protocol: u8,
}

impl Packet {
    /// Reads the headers: 14 bytes of Ethernet, the last two of which are the type of the next header,
    /// then those of IP.
    pub fn read(frame: &[u8]) -> Option<Packet> {
        const IPV4: [u8; 2] = [0x08, 0x00];
        let (ethernet, rest) = frame.split_first_chunk::<14>()?;
        let ip = rest.first_chunk::<20>()?;
        let address = |at: usize| ip[at..].first_chunk::<4>().copied().map(Ipv4Addr::from);
        (ethernet[12..] == IPV4).then_some(())?;
        Some(Packet { source: address(12)?, destination: address(16)?, protocol: ip[9] })
    }

    /// The protocol's name where it is one of the usual ones, else its number.
    pub fn protocol(&self) -> String {
        match self.protocol {
            1 => "ICMP".into(),
            6 => "TCP".into(),
            17 => "UDP".into(),
            other => other.to_string(),
        }
    }
}
