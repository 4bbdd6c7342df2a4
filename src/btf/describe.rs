//! The types of a map, made from plain descriptions.

use super::{BtfError, Builder};
use crate::util::TypeDesc;

/// The types of a map's keys and values: what `BPF_MAP_CREATE` wants, once the blob is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MapTypes {
    /// The BTF to load.
    pub(crate) blob: Vec<u8>,
    /// `btf_key_type_id`.
    pub(crate) key: u32,
    /// `btf_value_type_id`.
    pub(crate) value: u32,
}

/// The types of a map. The kernel wants them as large as the map's keys and values, and an `int` of 32 bits as the key
/// of an array.
pub(crate) fn map_types(key: &TypeDesc<'_>, value: &TypeDesc<'_>) -> Result<MapTypes, BtfError> {
    let mut builder = Builder::new();
    let (key, value) = (builder.describe(key), builder.describe(value));
    Ok(MapTypes { blob: builder.finish()?, key, value })
}
