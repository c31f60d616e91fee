//! The pages of the documentation, and the blocks of code that they show.

use std::fs;
use std::path::{Path, PathBuf};

/// A block of code of a page.
#[derive(Debug, Clone)]
pub struct Block {
    /// The page, from the root of the repository.
    pub page: String,
    /// The line of its fence, from 1.
    pub line: usize,
    /// What the fence names: `sh`, `toml`; empty where it names nothing.
    pub language: String,
    /// Its lines.
    pub text: String,
    /// The line of the page before it.
    pub before: String,
}

impl Block {
    /// Its lines, where each that is continued is one, without those that are empty or comments.
    pub fn commands(&self) -> Vec<String> {
        let joined = self.text.replace("\\\n", " ");
        let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All pages.
pub fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let at_root = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    found.extend(at_root.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    found.sort();
    found
}

/// All blocks of all pages.
pub fn all_blocks() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks(page.strip_prefix(root()).unwrap().to_str().unwrap())).collect()
}

/// The blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let (mut found, mut open): (Vec<Block>, bool) = (Vec::new(), false);
    let mut before = "";
    for (at, line) in text.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            open = !open;
            if open {
                let (language, before) = (language.to_owned(), before.to_owned());
                found.push(Block { page: page.to_owned(), line: at + 1, language, text: String::new(), before });
            }
        } else if let Some(block) = found.last_mut().filter(|_| open) {
            block.text += line;
            block.text.push('\n');
        }
        before = line;
    }
    found
}

/// The block of a page that holds a text. A test that runs the block gets it by this: then `pages/run_by_ci.rs` knows that it is run.
pub fn block(page: &str, holding: &str) -> Block {
    blocks(page).into_iter().find(|block| block.text.contains(holding)).unwrap()
}

/// The lines of all pages below a folder that call `tributary`. See also [`block`].
pub fn calls_below(folder: &str) -> Vec<(String, Vec<String>)> {
    let blocks = all_blocks().into_iter().filter(|block| block.language == "sh" && block.page.starts_with(folder));
    blocks.flat_map(|block| block.commands()).filter_map(|line| Some((line.clone(), call(&line)?))).collect()
}

/// The words of a line that calls `tributary`.
pub fn call(line: &str) -> Option<Vec<String>> {
    words(line).filter(|words| words.first().is_some_and(|word| word == "tributary"))
}

/// The words of a line of a shell, without what comes behind a pipe, a redirection or a comment. `None` where something is substituted.
pub fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None | Some('"'), '$' | '`') => return None,
            (None, '|' | '>' | '<' | ';' | '&') => break,
            (None, '#') if !begun => break,
            (None, _) if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    Some(words)
}
