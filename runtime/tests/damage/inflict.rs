//! One kind of damage to one file of a folder, drawn by a trial's number.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};

use tributary_proto::Hash128;

/// Numbers that follow from a trial's.
pub struct Draw {
    seed: String,
    drawn: u64,
}

impl Draw {
    pub fn new(title: &str, trial: u64) -> Self {
        Self { seed: format!("{title} {trial}"), drawn: 0 }
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.drawn += 1;
        let hash = Hash128::of(format!("{} {}", self.seed, self.drawn).as_bytes()).to_bytes();
        (u64::from_be_bytes(hash[..8].try_into().unwrap()) % limit.max(1) as u64) as usize
    }
}

/// What a file is for.
pub fn kind_of(name: &str) -> &'static str {
    let ends = |end: &str| name.ends_with(end);
    match name {
        _ if ends(".sst") => "table (.sst)",
        _ if ends(".log") => "write-ahead log",
        _ if name.starts_with("MANIFEST") => "MANIFEST",
        _ if name.starts_with("OPTIONS") => "OPTIONS",
        _ if name.starts_with("LOG") => "LOG",
        "CURRENT" => "CURRENT",
        "IDENTITY" => "IDENTITY",
        "LOCK" => "LOCK",
        "HIGH-WATER" => "high-water mark",
        other => panic!("{other} is of no kind that is known here"),
    }
}

/// A damage that was done.
pub struct Done {
    pub kind: &'static str,
    pub what: &'static str,
    name: String,
    place: String,
    before: Vec<u8>,
}

impl Done {
    /// Puts the file back as it was.
    pub fn mend(&self, folder: &Path) {
        fs::write(folder.join(&self.name), &self.before).unwrap();
    }
}

impl Display for Done {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.what, self.name, self.place)
    }
}

/// Copies the files of a folder, as they stand at one moment: anew while RocksDB is at work in it.
pub fn copy(from: &Path, to: &Path) {
    let look = || -> Vec<_> {
        let length = |name: String| (fs::metadata(from.join(&name)).map_or(0, |file| file.len()), name);
        names(from).into_iter().map(length).collect()
    };
    loop {
        let before = look();
        fs::create_dir_all(to).unwrap();
        let copied = before.iter().all(|(_, name)| fs::copy(from.join(name), to.join(name)).is_ok());
        if copied && look() == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

/// A place in a file: near the head, near the tail, or anywhere.
fn place(draw: &mut Draw, length: usize) -> usize {
    let near = length.min(64);
    match draw.below(3) {
        0 => draw.below(near),
        1 => length - near + draw.below(near),
        _ => draw.below(length),
    }
}

/// Damages a file of a folder.
pub fn inflict(draw: &mut Draw, folder: &Path, older: &Path) -> Done {
    let names = names(folder);
    let mut kinds: Vec<_> = names.iter().map(|name| kind_of(name)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let kind = kinds[draw.below(kinds.len())];
    let of_kind: Vec<_> = names.iter().filter(|name| kind_of(name) == kind).collect();
    let name = of_kind[draw.below(of_kind.len())].clone();
    let path = folder.join(&name);
    let before = fs::read(&path).unwrap();
    let mut after = before.clone();
    let length = before.len();
    let (what, place) = match draw.below(6) {
        0 if length > 0 => {
            let at = place(draw, length);
            after[at] ^= 1 << draw.below(8);
            ("flip a bit", format!("of byte {at} of {length}"))
        }
        1 if length > 0 => {
            let at = place(draw, length);
            let end = length.min(at + 1 + draw.below(4_096));
            after[at..end].fill(0);
            ("zero", format!("bytes {at} to {end} of {length}"))
        }
        2 if length > 0 => {
            after.truncate(place(draw, length));
            ("cut", format!("at {} of {length}", after.len()))
        }
        3 => {
            after.extend((0..1 + draw.below(300)).map(|at| (at * 7) as u8));
            ("lengthen", format!("by {} bytes", after.len() - length))
        }
        4 => match older_copy(&name, kind, older) {
            Some(copy) => {
                after = copy;
                ("swap with an older", String::new())
            }
            None => return delete(&path, kind, name, before),
        },
        _ => return delete(&path, kind, name, before),
    };
    fs::write(&path, after).unwrap();
    Done { kind, what, name, place, before }
}

fn delete(path: &PathBuf, kind: &'static str, name: String, before: Vec<u8>) -> Done {
    fs::remove_file(path).unwrap();
    Done { kind, what: "delete", name, place: String::new(), before }
}

/// The file of the same name in the older folder, or another of its kind.
fn older_copy(name: &str, kind: &str, older: &Path) -> Option<Vec<u8>> {
    let same = fs::read(older.join(name)).ok();
    same.or_else(|| {
        let other = names(older).into_iter().find(|other| kind_of(other) == kind)?;
        fs::read(older.join(other)).ok()
    })
}
