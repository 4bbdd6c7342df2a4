//! Reads apt's lists of sources, to learn where this machine gets its Debian packages from.
//!
//! Nothing here knows the name of a mirror: the address is always the machine's own.

use std::path::Path;

/// The releases of Debian, old to new, by the names that their folders have in an archive.
pub const RELEASES: [&str; 7] =
    ["buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"];

/// One place that packages come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub uri: String,
    pub suites: Vec<String>,
    pub components: Vec<String>,
    pub keyring: Option<String>,
}

/// The mirrors of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirrors {
    pub main: String,
    pub security: Option<String>,
    pub keyring: Option<String>,
    /// The suites that this machine itself installs from: (is it the security archive, suite).
    pub own: Vec<(bool, String)>,
}

/// Reads the sources below `apt` (`/etc/apt`).
pub fn read(apt: &Path) -> Vec<Source> {
    let mut files = vec![apt.join("sources.list")];
    let parts = std::fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten();
    let mut parts: Vec<_> = parts.map(|entry| entry.path()).collect();
    parts.sort();
    files.extend(parts);
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => sources.extend(text.lines().filter_map(one_line)),
            Some("sources") => sources.extend(stanzas(&text)),
            _ => {}
        }
    }
    sources
}

/// `deb [signed-by=/…] uri suite component…`
fn one_line(line: &str) -> Option<Source> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let mut rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let mut keyring = None;
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        keyring = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(String::from);
        rest = after;
    }
    let mut words = rest.split_whitespace().map(String::from);
    Some(Source {
        uri: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        keyring,
    })
}

/// Paragraphs of `Field: value`, continued by lines that begin with a space (deb822).
fn stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    for paragraph in text.split("\n\n") {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in paragraph.lines() {
            if line.starts_with(char::is_whitespace) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push('\n');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.to_lowercase(), value.trim().to_string()));
            }
        }
        let field = |name: &str| {
            fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        let words = |name: &str| {
            field(name).unwrap_or("").split_whitespace().map(String::from).collect::<Vec<_>>()
        };
        if field("enabled") == Some("no") || !words("types").iter().any(|kind| kind == "deb") {
            continue;
        }
        // The field may hold the key itself; then it is not a path, and the machine's own keyrings must do.
        let keyring =
            field("signed-by").filter(|path| path.starts_with('/') && !path.contains('\n'));
        for uri in words("uris") {
            sources.push(Source {
                uri,
                suites: words("suites"),
                components: words("components"),
                keyring: keyring.map(String::from),
            });
        }
    }
    sources
}

/// Picks Debian's own archives from all sources; others (a browser's, say) have suites of other names or paths.
pub fn mirrors(sources: &[Source]) -> Option<Mirrors> {
    let debian: Vec<&Source> = sources
        .iter()
        .filter(|source| source.components.iter().any(|c| c == "main"))
        .filter(|source| source.suites.iter().any(|suite| release(suite).is_some()))
        .collect();
    let is_security =
        |source: &Source| source.suites.iter().any(|suite| suite.ends_with("-security"));
    // Where several fit, the one whose path is the usual one is Debian's.
    let pick = |security: bool, path: &str| {
        let fit = || debian.iter().filter(move |source| is_security(source) == security);
        fit()
            .find(|source| source.uri.trim_end_matches('/').ends_with(path))
            .or_else(|| fit().next())
            .copied()
    };
    let main = pick(false, "/debian")?;
    let security = pick(true, "/debian-security");
    let mut own = Vec::new();
    for source in &debian {
        let place = if source.uri == main.uri && !is_security(source) {
            false
        } else if security.is_some_and(|security| security.uri == source.uri) {
            true
        } else {
            continue;
        };
        own.extend(source.suites.iter().map(|suite| (place, suite.clone())));
    }
    Some(Mirrors {
        main: main.uri.clone(),
        security: security.map(|source| source.uri.clone()),
        keyring: main.keyring.clone(),
        own,
    })
}

/// The release that a suite belongs to: `bookworm-updates` to `bookworm`.
fn release(suite: &str) -> Option<&'static str> {
    let name = suite.split(['-', '/']).next()?;
    RELEASES.into_iter().find(|release| *release == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb
# a snapshot
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: sid
Components: main

Types: deb
URIs: https://node.example/node_20.x
Suites: nodistro
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
";

    #[test]
    fn deb822_is_read() {
        let sources = stanzas(DEB822);
        assert_eq!(sources.len(), 3);
        assert_eq!(sources[2].keyring, None);
        let mirrors = mirrors(&sources).unwrap();
        assert_eq!(mirrors.main, "http://mirror.example/debian");
        assert_eq!(mirrors.security.as_deref(), Some("http://mirror.example/debian-security"));
        assert_eq!(
            mirrors.keyring.as_deref(),
            Some("/usr/share/keyrings/debian-archive-keyring.gpg")
        );
        let own = [(false, "bookworm"), (false, "bookworm-updates"), (true, "bookworm-security")];
        assert_eq!(mirrors.own, own.map(|(security, suite)| (security, suite.to_string())));
    }

    #[test]
    fn one_line_lists_are_read() {
        let text = "\
# deb http://old.example/debian buster main
deb [arch=amd64 signed-by=/k.gpg] https://cloud.example/apt cloud-sdk-bookworm main
deb http://charts.example/deb bookworm main
deb\t[ arch=amd64 signed-by=/d.gpg ] http://a.example/debian/ bookworm main contrib # comment
deb-src http://a.example/debian bookworm main
deb http://s.example/debian-security bookworm-security main
";
        let sources: Vec<_> = text.lines().filter_map(one_line).collect();
        assert_eq!(sources.len(), 4);
        let mirrors = mirrors(&sources).unwrap();
        assert_eq!(mirrors.main, "http://a.example/debian/");
        assert_eq!(mirrors.keyring.as_deref(), Some("/d.gpg"));
        assert_eq!(mirrors.security.as_deref(), Some("http://s.example/debian-security"));
    }

    #[test]
    fn a_machine_that_is_no_debian_has_no_mirror() {
        let sources: Vec<_> =
            one_line("deb http://archive.example/ubuntu noble main").into_iter().collect();
        assert_eq!(mirrors(&sources), None);
    }
}
