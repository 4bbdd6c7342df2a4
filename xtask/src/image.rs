//! Takes the kernel proper out of the file that boot loaders start.
//!
//! qemu can start the ELF file at once (PVH), which saves the guest from unpacking itself, a second under emulation.

use crate::interrupt::Owned;
use crate::tools;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::process::Stdio;

/// The compressions of packed kernels, by their first bytes: the program and its Debian package.
const PACKERS: [(&[u8], &str, &str); 5] = [
    (b"\xfd7zXZ\0", "xz", "xz-utils"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd"),
    (b"\x02\x21\x4c\x18", "lz4", "lz4"),
    (b"\x1f\x8b", "gzip", "gzip"),
    (b"BZh", "bzip2", "bzip2"),
];

/// The ELF file inside an x86 `bzImage` (the kernel's Documentation/arch/x86/boot.rst).
pub fn from_bzimage(image: &[u8]) -> Result<Vec<u8>> {
    if image.get(0x202..0x206) != Some(b"HdrS") {
        bail!("not a bzImage");
    }
    let setup_sectors = match image[0x1f1] {
        0 => 4,
        some => usize::from(some),
    };
    let offset = word(image, 0x248)?;
    let length = word(image, 0x24c)?;
    let start = (setup_sectors + 1) * 512 + offset;
    let payload = image.get(start..start + length).context("the bzImage is cut off")?;
    if payload.starts_with(b"\x7fELF") {
        return Ok(payload.to_vec());
    }
    let elf = unpack(payload)?;
    if !elf.starts_with(b"\x7fELF") {
        bail!("there is no ELF file in the bzImage");
    }
    Ok(elf)
}

/// The flat image inside what arm64 boots: packed with gzip, or an EFI program that unpacks itself (`zimg`).
pub fn from_arm64(image: &[u8]) -> Result<Vec<u8>> {
    if image.get(4..8) == Some(b"zimg") {
        let (offset, length) = (word(image, 8)?, word(image, 12)?);
        return unpack(image.get(offset..offset + length).context("the image is cut off")?);
    }
    if image.starts_with(b"\x1f\x8b") { unpack(image) } else { Ok(image.to_vec()) }
}

/// Unpacks a kernel or a module with the program that its first bytes call for.
pub fn unpack(payload: &[u8]) -> Result<Vec<u8>> {
    let (_, program, package) =
        PACKERS.into_iter().find(|(magic, ..)| payload.starts_with(magic)).with_context(|| {
            format!("packed in an unknown way ({:02x?})", &payload[..payload.len().min(6)])
        })?;
    // All but gzip, which has it already, are followed by the unpacked length.
    let (packed, length) = match payload.split_last_chunk::<4>() {
        Some((packed, length)) if program != "gzip" => (packed, Some(u32::from_le_bytes(*length))),
        _ => (payload, None),
    };
    let whole = |length: u32, out: &[u8]| out.len() == length as usize;
    let out = filter(program, package, packed)?;
    if length.is_none_or(|length| whole(length, &out)) {
        return Ok(out);
    }
    // An EFI image has no such length at its end.
    let out = filter(program, package, payload)?;
    if out.is_empty() { bail!("{program} could not unpack it") } else { Ok(out) }
}

fn filter(program: &str, package: &str, input: &[u8]) -> Result<Vec<u8>> {
    let mut command = tools::find(program, &[package])?.command();
    command.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Owned::spawn(&mut command).with_context(|| format!("cannot run {program}"))?;
    let (mut stdin, mut stdout) =
        child.0.stdin.take().zip(child.0.stdout.take()).context("no pipe")?;
    let mut out = Vec::new();
    std::thread::scope(|scope| {
        // Its output shows what it made of the input, so a pipe that it closes early is no error of its own.
        scope.spawn(move || stdin.write_all(input));
        stdout.read_to_end(&mut out)
    })?;
    child.0.wait()?;
    Ok(out)
}

fn word(image: &[u8], at: usize) -> Result<usize> {
    let bytes = image
        .get(at..at + 4)
        .and_then(|bytes| bytes.first_chunk::<4>())
        .context("the image is cut off")?;
    Ok(u32::from_le_bytes(*bytes) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bzimage_gives_its_payload() {
        let mut image = vec![0; 0x400];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248] = 0x10;
        image[0x24c] = 8;
        image.extend([0; 0x10]);
        image.extend(b"\x7fELFmore and more");
        assert_eq!(from_bzimage(&image).unwrap(), b"\x7fELFmore");
        image.truncate(0x412);
        assert_eq!(from_bzimage(&image).unwrap_err().to_string(), "the bzImage is cut off");
        assert_eq!(from_bzimage(b"short").unwrap_err().to_string(), "not a bzImage");
    }
}
