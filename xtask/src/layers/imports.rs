//! Reads which area of the crate imports which: `use` items, and paths written out where they are used.
//!
//! An area is a module of the crate's root with everything below it, and `main`.

use super::attributes::{self, only_for_tests};
use anyhow::{Context, Result};
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItem, Item, Lit, Meta, TraitItem, UseTree};

/// The imports between the sources of a crate.
#[derive(Default)]
pub struct Imports {
    pub imports: Vec<Import>,
    /// Every area, and the file of its root. An area that is only there for tests is not among them.
    pub areas: BTreeMap<String, PathBuf>,
    /// Paths that do not show what they import.
    pub unclear: Vec<Unclear>,
    /// Files under `src/` that are not part of the crate, so that nothing is known of them.
    pub not_in_crate: Vec<PathBuf>,
}

/// A path in one area that leads to another.
pub struct Import {
    pub from: String,
    pub to: String,
    pub file: PathBuf,
    pub line: usize,
    pub path: String,
}

/// A path that names the root of the crate, but no area.
pub struct Unclear {
    pub file: PathBuf,
    pub line: usize,
    pub path: String,
    pub why: &'static str,
}

/// Reads all imports of the crate whose root directory is given. Code that is only compiled for tests is left out.
pub fn read(root: &Path) -> Result<Imports> {
    let mut sources = Sources {
        root,
        pending: Vec::new(),
        seen: BTreeSet::new(),
        paths: Vec::new(),
        modules: Vec::new(),
        names: BTreeMap::new(),
    };
    for (file, module) in [("src/lib.rs", None), ("src/main.rs", Some("main"))] {
        if root.join(file).exists() {
            let module: Vec<String> = module.into_iter().map(String::from).collect();
            sources.pending.push(Source {
                file: root.join(file),
                dir: root.join("src"),
                module,
                test: false,
            });
        }
    }
    while let Some(source) = sources.pending.pop() {
        sources.read(source)?;
    }
    sources.resolve()
}

/// A file to read.
struct Source {
    file: PathBuf,
    /// The directory of the files of its `mod` items.
    dir: PathBuf,
    /// The path of its module, without `crate`.
    module: Vec<String>,
    /// It is compiled for tests only.
    test: bool,
}

/// The sources of a crate, as far as they have been read.
struct Sources<'a> {
    root: &'a Path,
    pending: Vec<Source>,
    seen: BTreeSet<PathBuf>,
    /// The paths that leave the module in which they are written, from whatever place.
    paths: Vec<Written>,
    /// The areas, with the files of their roots.
    modules: Vec<(String, PathBuf)>,
    /// The names of the root that are defined by an area: re-exports and exported macros.
    names: BTreeMap<String, String>,
}

/// A path as it is written, with its beginning resolved.
struct Written {
    /// The module in which it is written.
    module: Vec<String>,
    file: PathBuf,
    line: usize,
    text: String,
    /// Its segments from the root of the crate; `*` is the last one of a glob import.
    absolute: Vec<String>,
}

impl Sources<'_> {
    fn read(&mut self, source: Source) -> Result<()> {
        // Test code may include a file for a second time.
        let fresh = self.seen.insert(lexically_clean(&source.file));
        if !fresh && source.test {
            return Ok(());
        }
        let file = source.file.strip_prefix(self.root).unwrap_or(&source.file).to_path_buf();
        let text = fs::read_to_string(&source.file)
            .with_context(|| format!("cannot read {}", source.file.display()))?;
        let syntax = syn::parse_file(&text)
            .map_err(|e| anyhow::anyhow!("{}:{}: {e}", file.display(), e.span().start().line))?;
        if source.module.len() == 1 && !source.test {
            self.modules.push((source.module[0].clone(), file.clone()));
        }
        let test = source.test || syntax.attrs.iter().any(only_for_tests);
        let mut reader = Reader {
            sources: self,
            file,
            source: &source,
            module: source.module.clone(),
            dir: source.dir.clone(),
            exported: false,
            test,
            failed: None,
        };
        reader.visit_file(&syntax);
        match reader.failed {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }

    /// Finds the area of every path.
    fn resolve(mut self) -> Result<Imports> {
        let mut all = Imports {
            areas: std::mem::take(&mut self.modules).into_iter().collect(),
            ..Imports::default()
        };
        for Written { module, file, line, text: path, absolute } in self.paths {
            // The root itself is above all, and what it re-exports is no import.
            let Some(from) = module.into_iter().next() else { continue };
            let unclear = |why| Unclear { file: file.clone(), line, path: path.clone(), why };
            let to = match absolute.first().map(String::as_str) {
                None => {
                    all.unclear.push(unclear(
                        "the root of the crate under another name hides what is imported",
                    ));
                    continue;
                }
                Some("*") => {
                    all.unclear.push(unclear(
                        "a glob import of the root of the crate hides what is imported",
                    ));
                    continue;
                }
                Some(name) if all.areas.contains_key(name) => name,
                Some(name) => match self.names.get(name) {
                    Some(area) if all.areas.contains_key(area) => area.as_str(),
                    _ => {
                        all.unclear.push(unclear(
                            "the root of the crate has no such module, re-export or macro",
                        ));
                        continue;
                    }
                },
            };
            if from != to {
                all.imports.push(Import { to: to.to_string(), from, file, line, path });
            }
        }
        all.imports.sort_by(|a, b| (&a.file, a.line, &a.path).cmp(&(&b.file, b.line, &b.path)));
        let mut files = Vec::new();
        rust_files(&self.root.join("src"), &mut files)?;
        all.not_in_crate = files
            .into_iter()
            .filter(|file| !self.seen.contains(file))
            .map(|file| file.strip_prefix(self.root).unwrap_or(&file).to_path_buf())
            .collect();
        Ok(all)
    }
}

/// Collects all `.rs` files below a directory.
fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns a path without its `..`, of which `#[path]` attributes make use.
fn lexically_clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

/// Visits a file.
struct Reader<'a, 'b> {
    sources: &'a mut Sources<'b>,
    file: PathBuf,
    source: &'a Source,
    /// The module that is being read: that of the file, or one written within it.
    module: Vec<String>,
    dir: PathBuf,
    /// A macro is being read that other crates can use.
    exported: bool,
    test: bool,
    failed: Option<anyhow::Error>,
}

impl Reader<'_, '_> {
    /// Visits something in which `#[cfg(test)]` may stand.
    fn within(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let outer = self.test;
        self.test |= attributes.iter().any(only_for_tests);
        visit(self);
        self.test = outer;
    }

    /// Notes a path if it leads out of the module. `self`, a type's name and other crates do not.
    fn note(&mut self, segments: &[String], span: Span) {
        if self.test {
            return;
        }
        let binary = self.module.first().is_some_and(|area| area == "main");
        let Some(first) = segments.first() else { return };
        let (mut base, mut rest) = match first.as_str() {
            "crate" if binary => return,
            "rawbpf" if binary => (Vec::new(), &segments[1..]),
            "crate" => (Vec::new(), &segments[1..]),
            "self" | "super" if segments.len() > 1 => (self.module.clone(), segments),
            _ => return,
        };
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "self" => {}
                "super" => {
                    base.pop();
                }
                _ => break,
            }
            rest = after;
        }
        base.extend_from_slice(rest);
        self.sources.paths.push(Written {
            module: self.module.clone(),
            file: self.file.clone(),
            line: span.start().line,
            text: segments.join("::"),
            absolute: base,
        });
    }

    /// Notes every path of a `use` item, and in the root of the crate the names that it makes.
    fn note_use(&mut self, tree: &UseTree, prefix: &mut Vec<String>) {
        let (name, span, alias) = match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.note_use(&path.tree, prefix);
                prefix.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_use(tree, prefix);
                }
                return;
            }
            UseTree::Name(name) => (name.ident.to_string(), name.ident.span(), None),
            UseTree::Rename(rename) => {
                (rename.ident.to_string(), rename.ident.span(), Some(rename.rename.to_string()))
            }
            UseTree::Glob(glob) => ("*".to_string(), glob.star_token.spans[0], None),
        };
        let mut path = prefix.clone();
        if name != "self" || path.is_empty() {
            path.push(name);
        }
        if self.module.is_empty() && !self.test {
            let mut parts = path.iter().filter(|part| !matches!(part.as_str(), "crate" | "self"));
            if let (Some(area), Some(name)) = (parts.next(), alias.or(path.last().cloned())) {
                self.sources.names.insert(name, area.clone());
            }
        }
        self.note(&path, span);
    }

    /// Notes the paths that are written in a macro, whose tokens have no syntax of their own.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, wanted: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == wanted);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let begins = at;
            at += 1;
            match token {
                TokenTree::Group(group) => self.note_tokens(group.stream()),
                TokenTree::Ident(ident)
                    if *ident == "crate" || *ident == "super" || *ident == "self" =>
                {
                    // `$crate` of an exported macro is resolved where it is used, like everything else that it writes.
                    if self.exported && begins > 0 && is(begins - 1, '$') {
                        continue;
                    }
                    let mut path = vec![ident.to_string()];
                    while is(at, ':') && is(at + 1, ':') {
                        match tokens.get(at + 2) {
                            Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                            Some(TokenTree::Group(group))
                                if group.delimiter() == Delimiter::Brace =>
                            {
                                let stream = group.stream();
                                let trees = syn::parse::Parser::parse2(
                                    syn::punctuated::Punctuated::<UseTree, syn::Token![,]>::parse_terminated,
                                    stream,
                                );
                                for tree in trees.iter().flatten() {
                                    self.note_use(tree, &mut path);
                                }
                                path.clear();
                                break;
                            }
                            Some(TokenTree::Punct(p)) if p.as_char() == '*' => {
                                path.push("*".to_string());
                                break;
                            }
                            _ => break,
                        }
                        at += 3;
                    }
                    if path.len() > 1 {
                        self.note(&path, ident.span());
                    }
                }
                _ => {}
            }
        }
    }

    /// Adds the file of a `mod` item to what has to be read.
    fn follow(&mut self, item: &syn::ItemMod, module: Vec<String>) -> Result<()> {
        let name = item.ident.to_string();
        let name = name.trim_start_matches("r#");
        let path = item.attrs.iter().find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                Expr::Lit(syn::ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
                _ => None,
            },
            _ => None,
        });
        let (file, dir) = match path {
            Some(path) => {
                let beside = self.source.file.parent().unwrap_or(Path::new("."));
                let file = beside.join(path);
                let dir = file.parent().unwrap_or(Path::new(".")).to_path_buf();
                (file, dir)
            }
            None => {
                let flat = self.dir.join(format!("{name}.rs"));
                let nested = self.dir.join(name).join("mod.rs");
                let file = if flat.exists() { flat } else { nested };
                (file, self.dir.join(name))
            }
        };
        if !file.exists() {
            let line = item.ident.span().start().line;
            anyhow::bail!("{}:{line}: `mod {name}` has no file", self.file.display());
        }
        let file = lexically_clean(&file);
        self.sources.pending.push(Source { file, dir, module, test: self.test });
        Ok(())
    }
}

impl<'ast> Visit<'ast> for Reader<'_, '_> {
    fn visit_item(&mut self, item: &'ast Item) {
        self.within(attributes::of_item(item), |reader| visit::visit_item(reader, item));
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        self.within(attributes::of_impl_item(item), |reader| visit::visit_impl_item(reader, item));
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        self.within(attributes::of_trait_item(item), |reader| {
            visit::visit_trait_item(reader, item)
        });
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        self.within(&local.attrs, |reader| visit::visit_local(reader, local));
    }

    fn visit_stmt_macro(&mut self, stmt: &'ast syn::StmtMacro) {
        self.within(&stmt.attrs, |reader| visit::visit_stmt_macro(reader, stmt));
    }

    fn visit_expr(&mut self, expr: &'ast Expr) {
        self.within(attributes::of_expr(expr), |reader| visit::visit_expr(reader, expr));
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.within(&field.attrs, |reader| visit::visit_field(reader, field));
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        self.within(&field.attrs, |reader| visit::visit_field_value(reader, field));
    }

    fn visit_field_pat(&mut self, field: &'ast syn::FieldPat) {
        self.within(&field.attrs, |reader| visit::visit_field_pat(reader, field));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.within(&variant.attrs, |reader| visit::visit_variant(reader, variant));
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.within(&arm.attrs, |reader| visit::visit_arm(reader, arm));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.note_use(&item.tree, &mut Vec::new());
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = item.ident.to_string();
        let mut module = self.module.clone();
        module.push(name.trim_start_matches("r#").to_string());
        if item.content.is_none() {
            if let Err(e) = self.follow(item, module) {
                self.failed.get_or_insert(e);
            }
            return;
        }
        if self.module.is_empty() && !self.test {
            self.sources.modules.push((name.clone(), self.file.clone()));
        }
        let outer = (self.module.clone(), self.dir.clone());
        self.dir.push(name);
        self.module = module;
        visit::visit_item_mod(self, item);
        (self.module, self.dir) = outer;
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        self.exported = item.attrs.iter().any(|a| a.path().is_ident("macro_export"));
        if let (true, Some(name), Some(area)) = (self.exported, &item.ident, self.module.first())
            && !self.test
        {
            self.sources.names.insert(name.to_string(), area.clone());
        }
        visit::visit_item_macro(self, item);
        self.exported = false;
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.note_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // The path of the attribute itself is no import, those in its arguments are.
        if let Meta::List(list) = &attribute.meta {
            self.note_tokens(list.tokens.clone());
        }
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(in crate::area)` names a module around this one.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            if segments.len() > 1 {
                self.note(&segments, first.ident.span());
            }
        }
        visit::visit_path(self, path);
    }
}
