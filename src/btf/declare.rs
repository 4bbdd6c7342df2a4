//! Types as C writes them.

use super::{Body, Btf, BtfError, Kind};

/// A declaration nests no deeper than this: pointers to functions that take pointers to functions are rare enough.
const DEPTH: usize = 16;

/// It takes no more types than this: in damaged BTF a function can take itself, several times.
const STEPS: usize = 1000;

/// The nesting depth and number of types that a declaration may still use.
struct Left {
    depth: usize,
    steps: usize,
}

impl Btf {
    /// The declaration of something of a type, `const char *name`, `int (*start)(struct device *dev, int)`; without a name
    /// that of the type alone, `struct task_struct *`.
    ///
    /// # Errors
    /// [`BtfError::Damaged`] if there is no such type, or if it is declared by ever more of others.
    pub fn declaration(&self, id: u32, name: &str) -> Result<String, BtfError> {
        let mut left = Left { depth: DEPTH, steps: STEPS };
        let text = self.declare(id, name.to_owned(), &mut left)?;
        Ok(text.trim_end().to_owned())
    }

    /// Writes the declarator of type `id` around `inner`, the part declared so far: C begins with the name.
    fn declare(&self, id: u32, inner: String, left: &mut Left) -> Result<String, BtfError> {
        if left.depth == 0 || left.steps == 0 {
            return Err(BtfError::Damaged { id, problem: "it is declared by too many others" });
        }
        left.steps -= 1;
        left.depth -= 1;
        let text = self.declare_one(id, inner, left);
        left.depth += 1;
        text
    }

    fn declare_one(&self, id: u32, inner: String, left: &mut Left) -> Result<String, BtfError> {
        let found = self.get(id)?;
        let named = |keyword: &str| {
            let name = if found.name.is_empty() { "(anonymous)" } else { found.name };
            let space = if inner.is_empty() { "" } else { " " };
            format!("{keyword}{name}{space}{inner}")
        };
        Ok(match (found.kind, found.body) {
            (Kind::Void, _) => format!("void {inner}"),
            (Kind::Struct, _) | (Kind::Forward, Body::Forward { union: false }) => named("struct "),
            (Kind::Union, _) | (Kind::Forward, _) => named("union "),
            (Kind::Enum | Kind::Enum64, _) => named("enum "),
            (_, Body::Pointer(to)) => {
                let behind = self.behind_words(to)?;
                let inner = match behind {
                    Kind::Array | Kind::Prototype => format!("(*{inner})"),
                    _ => format!("*{inner}"),
                };
                self.declare(to, inner, left)?
            }
            (_, Body::Array { element, len, .. }) => {
                let len = if len == 0 { String::new() } else { len.to_string() };
                self.declare(element, format!("{inner}[{len}]"), left)?
            }
            (_, Body::Prototype { returns, parameters }) => {
                let mut list = Vec::new();
                for parameter in parameters {
                    let parameter = parameter?;
                    list.push(match parameter.of {
                        0 => "...".to_owned(),
                        of => {
                            let text = self.declare(of, parameter.name.to_owned(), left)?;
                            text.trim_end().to_owned()
                        }
                    });
                }
                let list = if list.is_empty() { "void".into() } else { list.join(", ") };
                self.declare(returns, format!("{inner}({list})"), left)?
            }
            (_, Body::Function { prototype, .. }) => {
                self.declare(prototype, found.name.to_owned(), left)?
            }
            (kind @ (Kind::Const | Kind::Volatile | Kind::Restrict), Body::Alias(of)) => {
                let word = kind.word();
                // The word belongs to the pointer and stands behind its star, or to what is named and stands first.
                match self.behind_words(of)? {
                    Kind::Pointer => {
                        let space = if inner.is_empty() { "" } else { " " };
                        self.declare(of, format!("{word}{space}{inner}"), left)?
                    }
                    _ => format!("{word} {}", self.declare(of, inner, left)?),
                }
            }
            // A tag has no counterpart in C.
            (Kind::TypeTag, Body::Alias(of)) => self.declare(of, inner, left)?,
            _ => named(""),
        })
    }

    /// Returns the kind of a type behind qualifiers (`const` and the like) and tags.
    fn behind_words(&self, id: u32) -> Result<Kind, BtfError> {
        let mut next = id;
        for _ in 0..DEPTH {
            let found = self.get(next)?;
            match (found.kind, found.body) {
                (Kind::Typedef, _) => return Ok(Kind::Typedef),
                (_, Body::Alias(of)) => next = of,
                (kind, _) => return Ok(kind),
            }
        }
        Err(BtfError::Damaged { id, problem: "its typedefs do not end" })
    }
}

#[cfg(test)]
mod tests {
    use crate::btf::{KernelTypes, Kind};
    use crate::requires::{Thing, needs};

    /// The expected declarations are those of the kernel's headers, which are older than all kernels that have BTF.
    #[test]
    fn this_kernels_functions_are_declared_as_in_c() {
        needs!(Btf);
        let types = KernelTypes::new();
        for (name, declared) in [
            (
                "vfs_read",
                "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)",
            ),
            (
                "kfree_skb_list_reason",
                "void kfree_skb_list_reason(struct sk_buff *segs, enum skb_drop_reason reason)",
            ),
            // Some kernels have it under another name only.
            ("kstrdup", "char *kstrdup(const char *s, gfp_t gfp)"),
        ] {
            let Ok((id, place)) = types.type_id(name, Kind::Function) else { continue };
            assert_eq!(place.btf.declaration(id, "").unwrap(), declared);
        }
        // A pointer to a function, in a struct.
        let field = types.field("file_operations.llseek").unwrap();
        let btf = types.vmlinux().unwrap();
        let llseek = btf.declaration(field.type_id, "llseek").unwrap();
        assert_eq!(llseek, "loff_t (*llseek)(struct file *, loff_t, int)");
        let comm = types.field("task_struct.comm").unwrap();
        assert_eq!(btf.declaration(comm.type_id, "comm").unwrap(), "char comm[16]");
    }
}
