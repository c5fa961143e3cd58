//! A disk that is full on demand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::{Answer, Store, StoreError};

/// Whether the disk is full.
#[derive(Clone, Default)]
pub struct Disk(Arc<AtomicBool>);

impl Disk {
    /// Fills it, or frees it.
    pub fn fill(&self, full: bool) {
        self.0.store(full, Ordering::Relaxed);
    }

    /// The words of a database on a disk that is full.
    fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(StoreError::Write("database or disk is full".into()));
        }
        Ok(())
    }
}

/// A store on that disk.
pub struct OnDisk {
    /// The store.
    pub store: Box<dyn Store>,
    /// The disk.
    pub disk: Disk,
}

impl Store for OnDisk {
    fn is_fresh(&self) -> bool {
        self.store.is_fresh()
    }

    fn load(&mut self) -> Answer<'_, BTreeMap<String, String>> {
        self.store.load()
    }

    fn write<'a>(&'a mut self, name: &'a str, json: &'a str) -> Answer<'a, ()> {
        match self.disk.check() {
            Ok(()) => self.store.write(name, json),
            Err(full) => Box::pin(async { Err(full) }),
        }
    }

    fn bump(&mut self) -> Answer<'_, ()> {
        match self.disk.check() {
            Ok(()) => self.store.bump(),
            Err(full) => Box::pin(async { Err(full) }),
        }
    }
}
