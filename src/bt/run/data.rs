//! The maps of a script, as they are in the kernel.

use super::layout::Reader;
use crate::bt::output;
use crate::bt::plan::{Storage, UserMap};
use crate::bt::source::Span;
use crate::bt::types::Type;
use crate::bt::value::Value;
use crate::error::Result;
use crate::map::{Map, Update};
use std::sync::Arc;

/// A map of the script.
#[derive(Debug)]
pub(super) struct Stored {
    pub name: Arc<str>,
    pub key: Option<Type>,
    pub value: Type,
    pub storage: Storage,
    pub per_cpu: bool,
    pub max_entries: u32,
    pub span: Span,
    pub map: Map,
}

impl Stored {
    /// Returns a map of the plan that the kernel has made.
    pub(super) fn new(plan: &UserMap<'_>, map: Map) -> Stored {
        Stored {
            name: Arc::clone(&plan.map.name),
            key: plan.map.key.clone(),
            value: plan.map.value.clone(),
            storage: plan.storage,
            per_cpu: plan.per_cpu,
            max_entries: plan.map.max_entries,
            span: plan.map.span,
            map,
        }
    }

    /// Returns the bytes of the key of a single value.
    fn single_key(&self) -> &'static [u8] {
        match self.storage {
            Storage::Single { .. } => &[0; 4],
            _ => &[0; 8],
        }
    }

    /// Returns the bytes of a CPU's value, or of the one value, with what is behind it.
    fn stride(&self) -> usize {
        let size = self.map.value_size() as usize;
        if self.per_cpu { size.next_multiple_of(8) } else { size }.max(1)
    }

    fn decode(&self, reader: &mut Reader, bytes: &[u8]) -> Value {
        let size = self.value.size(&reader.program.structs) as usize;
        let value = |bytes| -> &[u8] { <[u8]>::get(bytes, ..size).unwrap_or(bytes) };
        match self.per_cpu {
            true => reader.merged(&self.value, bytes.chunks(self.stride()).map(value)),
            false => reader.value(&self.value, value(bytes)),
        }
    }

    /// Returns the value of a map without keys, if it has one.
    fn single(&self, reader: &mut Reader) -> Result<Option<Value>> {
        let Some(bytes) = self.map.lookup(self.single_key())? else { return Ok(None) };
        if let Storage::Single { present } = self.storage {
            let set = |bytes: &[u8]| {
                let mark = bytes.get(present as usize..).and_then(|rest| rest.get(..8));
                mark.is_some_and(|mark| mark.iter().any(|byte| *byte != 0))
            };
            if !bytes.chunks(self.stride()).any(set) {
                return Ok(None);
            }
        }
        Ok(Some(self.decode(reader, &bytes)))
    }

    /// Returns the contents. A map without keys that has no value is empty, or has a zero if that is `printed`, but for
    /// histograms.
    pub(super) fn read(&self, reader: &mut Reader, printed: bool) -> Result<output::Map> {
        let name = &*self.name;
        let Some(key) = &self.key else {
            let histogram = matches!(self.value, Type::Hist(_) | Type::Lhist(_));
            return Ok(match self.single(reader)? {
                Some(value) => output::Map::scalar(name, value),
                None if printed && !histogram => {
                    output::Map::scalar(name, reader.value(&self.value, &[]))
                }
                None => output::Map::keyed(name, []),
            });
        };
        let mut entries = Vec::new();
        for (bytes, value) in self.map.lookup_batch()? {
            entries.push((reader.value(key, &bytes), self.decode(reader, &value)));
        }
        Ok(output::Map::keyed(name, entries))
    }

    /// Returns the value of an element; a zero if there is none.
    pub(super) fn element(&self, reader: &mut Reader, key: &[u8]) -> Result<Value> {
        let bytes = self.map.lookup(key)?.unwrap_or_default();
        Ok(self.decode(reader, &bytes))
    }

    /// Removes all elements.
    pub(super) fn clear(&self) -> Result<()> {
        match self.storage {
            Storage::Single { .. } => {
                let zeros = vec![0; self.map.value_len()?];
                self.map.update(self.single_key(), &zeros, Update::Any)
            }
            Storage::SingleHash => self.map.delete(self.single_key()).map(drop),
            Storage::Hash => self.map.clear(),
        }
    }

    /// Makes all values zero.
    pub(super) fn zero(&self) -> Result<()> {
        let zeros = vec![0; self.map.value_len()?];
        if let Storage::Single { present } = self.storage {
            let Some(mut bytes) = self.map.lookup(self.single_key())? else { return Ok(()) };
            for cpu in bytes.chunks_mut(self.stride()) {
                cpu.iter_mut().take(present as usize).for_each(|byte| *byte = 0);
            }
            return self.map.update(self.single_key(), &bytes, Update::Any);
        }
        for key in self.map.keys() {
            // One that has been deleted in the meantime stays so.
            match self.map.update(&key?, &zeros, Update::Exist) {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_gone(error: &crate::error::Error) -> bool {
    matches!(error, crate::error::Error::Call { errno, .. } if errno.0 == libc::ENOENT)
}
