use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Directory, Untrusted, is_known};

/// Somebody who is neither root nor the user that runs the tests.
const STRANGER: u32 = 54_321;

struct Place {
    _parent: TempDir,
    ours: PathBuf,
    outside: PathBuf,
    directory: Directory,
}

/// A directory to work in, and a file elsewhere that must stay as it is.
fn place() -> Place {
    let parent = tempfile::tempdir().unwrap();
    let (ours, outside) = (parent.path().join("ours"), parent.path().join("outside"));
    fs::create_dir_all(ours.join("sub")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "theirs").unwrap();
    fs::set_permissions(outside.join("f"), fs::Permissions::from_mode(0o644)).unwrap();
    Place {
        directory: Directory::open(&ours).unwrap().unwrap(),
        _parent: parent,
        ours,
        outside,
    }
}

impl Place {
    fn assert_outside_is_untouched(&self) {
        let names = fs::read_dir(&self.outside).unwrap().count();
        assert_eq!(names, 1);
        assert_eq!(fs::read(self.outside.join("f")).unwrap(), b"theirs");
        let found = fs::metadata(self.outside.join("f")).unwrap();
        assert_eq!(found.mode() & 0o777, 0o644);
        assert_eq!(found.uid(), fs::metadata(&self.outside).unwrap().uid());
    }
}

fn untrusted<T>(outcome: std::io::Result<T>) -> Option<Untrusted> {
    Untrusted::of(&outcome.err().expect("an error"))
}

#[test]
fn a_link_that_comes_in_between_is_not_followed() {
    let place = place();
    let (ours, outside) = (&place.ours, &place.outside);
    let found = |path: &str| place.directory.entry(Path::new(path), None).unwrap();
    let [new, below, permitted] = ["new", "sub/f", "permitted"].map(|path| {
        fs::write(ours.join("permitted"), "").unwrap();
        found(path).unwrap()
    });
    // Where the file will be.
    symlink(outside.join("f"), ours.join("new")).unwrap();
    new.write(b"secret", 0o600).unwrap();
    assert_eq!(fs::read(ours.join("new")).unwrap(), b"secret");
    assert!(!ours.join("new").is_symlink());
    // A directory on the way.
    fs::rename(ours.join("sub"), ours.join("moved")).unwrap();
    symlink(outside, ours.join("sub")).unwrap();
    below.write(b"secret", 0o600).unwrap();
    assert_eq!(fs::read(ours.join("moved/f")).unwrap(), b"secret");
    assert_eq!(
        untrusted(place.directory.entry(Path::new("sub/f"), None)),
        Some(Untrusted::LeadsOut)
    );
    // What only gets other bits.
    fs::remove_file(ours.join("permitted")).unwrap();
    symlink(outside.join("f"), ours.join("permitted")).unwrap();
    assert!(permitted.permit(0o777).is_err());
    assert!(permitted.read(100).is_err());
    place.assert_outside_is_untouched();
}

#[test]
fn a_link_in_place_of_the_unfinished_file_gets_neither_owner_nor_bits() {
    let place = place();
    let unfinished = place.directory.begin("f".as_ref()).unwrap();
    let hidden = place.ours.join(unfinished.name.as_ref().unwrap());
    fs::remove_file(&hidden).unwrap();
    symlink(place.outside.join("f"), &hidden).unwrap();
    super::give(unfinished.file(), &rustix::fs::stat("/").unwrap());
    rustix::fs::fchmod(unfinished.file(), 0o777.into()).unwrap();
    unfinished.finish("f".as_ref()).unwrap();
    place.assert_outside_is_untouched();
}

#[test]
fn an_unfinished_file_is_private_and_removed() {
    let place = place();
    let unfinished = place.directory.begin("key".as_ref()).unwrap();
    let hidden = unfinished.name.clone().unwrap().into_string().unwrap();
    let found = fs::metadata(place.ours.join(&hidden)).unwrap();
    assert_eq!(found.mode() & 0o777, 0o600);
    drop(unfinished);
    assert!(!place.ours.join(hidden).exists());
}

#[test]
fn a_file_of_a_stranger_gets_no_secret() {
    assert!(is_known(0, 7) && is_known(7, 7) && !is_known(STRANGER, 7));
    let place = place();
    for path in ["made-first", "sub/f"] {
        fs::write(place.ours.join(path), "").unwrap();
    }
    // Only root can make somebody else's.
    if chown(place.ours.join("made-first"), Some(STRANGER), None).is_err() {
        return;
    }
    chown(place.ours.join("sub"), Some(STRANGER), None).unwrap();
    let refused = Some(Untrusted::OfStranger(STRANGER));
    let entry = place.directory.entry("made-first".as_ref(), None);
    let entry = entry.unwrap().unwrap();
    assert_eq!(untrusted(entry.write(b"secret", 0o600)), refused);
    assert_eq!(untrusted(entry.permit(0o600)), refused);
    assert_eq!(untrusted(entry.remove()), refused);
    assert_eq!(fs::read(place.ours.join("made-first")).unwrap(), b"");
    let made = &mut Vec::new();
    let below = place.directory.entry("sub/f".as_ref(), Some(made));
    assert_eq!(untrusted(below), refused);
    // In a directory that is that user's, all of it is.
    chown(&place.ours, Some(STRANGER), None).unwrap();
    let theirs = Directory::open(&place.ours).unwrap().unwrap();
    for path in ["made-first", "sub/f", "sub/deep/new"] {
        let entry = theirs.entry(path.as_ref(), Some(&mut Vec::new()));
        entry.unwrap().unwrap().write(b"secret", 0o600).unwrap();
    }
    for path in ["made-first", "sub/deep", "sub/deep/new"] {
        let found = fs::metadata(place.ours.join(path)).unwrap();
        assert_eq!(found.uid(), STRANGER, "{path}");
    }
}

#[test]
fn only_the_owner_of_a_directory_can_lead_to_it() {
    let place = place();
    let link = place.ours.join("link");
    symlink(&place.outside, &link).unwrap();
    let leads = |path: &Path| Directory::make(path).map(|(it, _)| it.real().to_owned());
    let real = fs::canonicalize(&place.outside).unwrap();
    assert_eq!(leads(&link).unwrap(), real);
    if lchown(&link, Some(STRANGER), None).is_err() {
        return;
    }
    let refused = Some(Untrusted::LinkOfStranger(STRANGER));
    assert_eq!(untrusted(leads(&link)), refused);
    assert_eq!(untrusted(leads(&link.join("new"))), refused);
    place.assert_outside_is_untouched();
    chown(&place.outside, Some(STRANGER), None).unwrap();
    assert_eq!(leads(&link.join("new")).unwrap(), real.join("new"));
}
