//! Objects as collections: what a program that embeds this library does with them, and what it loads beside libbpf.

#![cfg(feature = "elf")]

mod common;
#[path = "common/object_bytes.rs"]
mod object_bytes;
#[path = "common/objects.rs"]
#[allow(dead_code, reason = "the table of objects needs more of it")]
mod objects;

#[path = "collections/damaged.rs"]
mod damaged;
#[path = "collections/headers.rs"]
mod headers;
#[path = "collections/jump_tables.rs"]
mod jump_tables;
#[path = "collections/library.rs"]
mod library;
#[path = "collections/maps.rs"]
mod maps;
#[path = "collections/programs.rs"]
mod programs;
