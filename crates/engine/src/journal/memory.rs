//! A store that lasts as long as the process: for tests, and for trying a store's users out.

use super::{BaseParts, Changes, Kept, Outcome, Record, Store, StoreError};
use crate::stored::Part;

/// Keeps everything in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    bases: Vec<(u64, Vec<Part>, bool)>,
    /// Every record there was.
    pub records: Vec<(u64, Record)>,
    /// What was published by which record.
    pub outcomes: Vec<(u64, Vec<Outcome>)>,
}

impl Store for Memory {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.records.extend(changes.records.iter().cloned());
        self.outcomes.extend(changes.outcomes.iter().cloned());
        if let Some(BaseParts { before, first, parts, is_last, .. }) = &changes.base {
            if *first == 0 {
                self.bases.push((*before, Vec::new(), false));
            }
            if let Some((_, kept, is_whole)) = self.bases.last_mut() {
                kept.extend(parts.iter().cloned());
                *is_whole = *is_last;
            }
        }
        Ok(())
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        self.records.retain(|(number, _)| *number < from);
        self.outcomes.retain(|(number, _)| *number < from);
        Ok(())
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let Some((before, parts, _)) = self.bases.iter().rev().find(|(.., is_whole)| *is_whole) else {
            return Ok(());
        };
        for part in parts {
            take(Kept::Part(*before, part.clone()))?;
        }
        for (number, record) in self.records.iter().filter(|(number, _)| number >= before) {
            take(Kept::Record(*number, Box::new(record.clone())))?;
        }
        Ok(())
    }
}
