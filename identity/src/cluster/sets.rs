//! Disjoint sets of positions: union by size.

use std::collections::BTreeMap;

/// Disjoint sets of positions.
pub(super) struct Sets {
    parent: Vec<usize>,
    size: Vec<usize>,
}

impl Sets {
    pub(super) fn new(count: usize) -> Self {
        Self { parent: (0..count).collect(), size: vec![1; count] }
    }

    pub(super) fn find(&self, mut at: usize) -> usize {
        while let Some(parent) = self.parent.get(at).copied().filter(|parent| *parent != at) {
            at = parent;
        }
        at
    }

    pub(super) fn size_of(&self, at: usize) -> usize {
        self.size.get(self.find(at)).copied().unwrap_or(0)
    }

    /// Unites the sets of two positions; returns (kept, absorbed) roots, or `None` if they are one set already.
    pub(super) fn unite(&mut self, a: usize, b: usize) -> Option<(usize, usize)> {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return None;
        }
        let (keep, hang) = if self.size_of(a) >= self.size_of(b) { (a, b) } else { (b, a) };
        let sum = self.size_of(keep) + self.size_of(hang);
        if let Some(parent) = self.parent.get_mut(hang) {
            *parent = keep;
        }
        if let Some(size) = self.size.get_mut(keep) {
            *size = sum;
        }
        Some((keep, hang))
    }

    pub(super) fn lists(&self) -> Vec<Vec<usize>> {
        let mut order: BTreeMap<usize, usize> = BTreeMap::new();
        let mut lists: Vec<Vec<usize>> = Vec::new();
        for at in 0..self.parent.len() {
            let list = *order.entry(self.find(at)).or_insert_with(|| {
                lists.push(Vec::new());
                lists.len() - 1
            });
            if let Some(list) = lists.get_mut(list) {
                list.push(at);
            }
        }
        lists
    }
}
