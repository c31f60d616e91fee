//! The paths that a source file names, found without a parser: a path begins where a name is followed by `::`.

/// A path that a file imports.
#[derive(Debug)]
pub struct Import {
    /// The names in it.
    pub path: Vec<String>,
    /// The name by which the file uses it.
    pub name: String,
    /// Whether it is re-exported (`pub use`).
    pub passed_on: bool,
}

/// The imports of a file.
#[derive(Debug)]
pub struct Source {
    /// All paths in its code, except in tests.
    pub imports: Vec<Import>,
}

impl Source {
    /// The paths that a source text contains.
    pub fn of(text: &str) -> Self {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let tokens = tokens(code);
        let (mut imports, mut at) = (Vec::new(), 0);
        while at < tokens.len() {
            if is_name(&tokens, at) && tokens.get(at + 1) == Some(&"::") {
                let passed_on = passes_on(&tokens[..at]);
                at = paths(&tokens, at, (&[], passed_on), &mut imports);
            } else {
                at += 1;
            }
        }
        Self { imports }
    }
}

/// Whether the tokens before a path are `pub use` or `pub(…) use`.
fn passes_on(before: &[&str]) -> bool {
    let Some((&"use", before)) = before.split_last() else { return false };
    let since_pub = before.iter().rev().take(6).position(|token| *token == "pub");
    match since_pub {
        Some(0) => true,
        Some(length) => before.last() == Some(&")") && before[before.len() - length] == "(",
        None => false,
    }
}

fn is_name(tokens: &[&str], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| token.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// The paths that begin at a token; those in braces separately. Returns the position after them.
fn paths(tokens: &[&str], mut at: usize, (prefix, passed_on): (&[&str], bool), out: &mut Vec<Import>) -> usize {
    let mut path = prefix.to_vec();
    while is_name(tokens, at) {
        path.push(tokens[at]);
        if tokens.get(at + 1) != Some(&"::") {
            break;
        }
        at += 2;
    }
    if tokens.get(at) == Some(&"{") && path.len() > prefix.len() {
        at += 1;
        while at < tokens.len() && tokens[at] != "}" {
            at = if is_name(tokens, at) { paths(tokens, at, (&path, passed_on), out) } else { at + 1 };
        }
        return at + 1;
    }
    if path.len() > 1 && path.last() == Some(&"self") {
        path.pop();
    }
    // Re-exporting everything of another file counts as an import of it.
    let passed_on = passed_on && tokens.get(at) != Some(&"*");
    let renamed = tokens.get(at + 1) == Some(&"as");
    let name = if renamed { tokens.get(at + 2) } else { path.last() }.copied().unwrap_or_default().to_owned();
    out.push(Import { path: path.into_iter().map(str::to_owned).collect(), name, passed_on });
    at + if renamed { 3 } else { 1 }
}

/// The names, `::` and other tokens of a text, without comments and quoted text.
fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => quoted(rest),
            'r' if rest.starts_with("r#\"") => rest[3..].find("\"#").map_or(rest.len(), |end| 3 + end + 2),
            '\'' => character(rest),
            ':' if rest.starts_with("::") => 2,
            'a'..='z' | 'A'..='Z' | '_' => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if !(first.is_whitespace() || first == '"' || first == '\'' || token.starts_with("//") || token.starts_with("r#")) {
            found.push(token);
        }
        rest = after;
    }
    found
}

/// The length of a quoted text, with its quotation marks.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, sign) in text.char_indices().skip(1) {
        if sign == '"' && !escaped {
            return at + 1;
        }
        escaped = sign == '\\' && !escaped;
    }
    text.len()
}

/// The length of a character in quotation marks; of a lifetime only the mark.
fn character(text: &str) -> usize {
    let mut signs = text.char_indices().skip(1);
    match (signs.next(), signs.next()) {
        (Some((_, '\\')), Some((at, _))) => text[at + 1..].find('\'').map_or(text.len(), |end| at + 1 + end + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}
