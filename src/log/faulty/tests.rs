use super::node::PAGE;
use super::*;

fn disk_with(path: &str, bytes: &[u8]) -> (FaultyDisk, Arc<dyn DiskFile>) {
    let disk = FaultyDisk::new(1);
    disk.make_dir(Path::new("/d")).unwrap();
    let file = disk.create(Path::new(path)).unwrap();
    file.write_at(&mut [IoSlice::new(bytes)], 0).unwrap();
    (disk, file)
}

#[test]
fn what_was_synced_survives_and_what_was_not_survives_by_pages() {
    let (mut old, mut new, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let disk = FaultyDisk::new(seed);
        disk.make_dir(Path::new("/d")).unwrap();
        let file = disk.create(Path::new("/d/a")).unwrap();
        file.write_at(&mut [IoSlice::new(&[1; 3 * PAGE])], 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_at(&mut [IoSlice::new(&[2; 3 * PAGE])], 0).unwrap();
        disk.crash();
        let bytes = disk.files().remove(Path::new("/d/a")).unwrap();
        assert!(bytes.chunks(PAGE).all(|page| page == [1; PAGE] || page == [2; PAGE]), "a page is whole");
        match bytes.chunks(PAGE).filter(|page| page[0] == 2).count() {
            0 => old += 1,
            3 => new += 1,
            _ => torn += 1,
        }
        assert!(file.sync().is_err(), "a file of a dead process");
    }
    assert!(old > 0 && new > 0 && torn > 0, "{old} {new} {torn}");
}

#[test]
fn a_name_is_durable_once_its_directory_was_synced() {
    let lost = (0..100).filter(|seed| {
        let disk = FaultyDisk::new(*seed);
        disk.make_dir(Path::new("/d")).unwrap();
        disk.create(Path::new("/d/a")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
        disk.crash();
        let names = disk.list(Path::new("/d")).unwrap();
        assert_eq!(names.len(), 1, "a rename is atomic");
        names == ["a"]
    });
    let lost = lost.count();
    assert!(lost > 10 && lost < 90, "{lost}");
}

#[test]
fn what_a_failed_sync_left_stays_visible_and_is_never_durable_unless_written_again() {
    let survives = |again: bool| {
        (0..50).all(|seed| {
            let disk = FaultyDisk::new(seed);
            disk.make_dir(Path::new("/d")).unwrap();
            let file = disk.create(Path::new("/d/a")).unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            file.write_at(&mut [IoSlice::new(&[7; 2 * PAGE])], 0).unwrap();
            disk.fail_sync(0);
            assert!(file.sync().is_err());
            let mut seen = [0; 8];
            assert_eq!(file.read_at(&mut seen, PAGE as u64).unwrap(), 8);
            assert_eq!(seen, [7; 8]);
            if again {
                file.write_at(&mut [IoSlice::new(&[7; 2 * PAGE])], 0).unwrap();
            }
            file.sync().unwrap();
            disk.crash();
            disk.files()[Path::new("/d/a")] == [7; 2 * PAGE]
        })
    };
    assert!(!survives(false));
    assert!(survives(true));
}

#[test]
fn a_full_disk_takes_what_fits_and_lets_written_bytes_be_overwritten() {
    let (disk, file) = disk_with("/d/a", &[1; 100]);
    disk.set_capacity(Some(150));
    let full = file.write_at(&mut [IoSlice::new(&[2; 100])], 100).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.size().unwrap(), 150);
    assert_eq!(disk.free_bytes(Path::new("/d")).unwrap(), 0);
    file.write_at(&mut [IoSlice::new(&[3; 150])], 0).unwrap();
    disk.remove(Path::new("/d/a")).unwrap();
    assert_eq!(disk.free_bytes(Path::new("/d")).unwrap(), 150);
}

#[test]
fn the_same_seed_has_the_same_accidents() {
    let run = || {
        let (disk, file) = disk_with("/d/a", &vec![1; 10 * PAGE]);
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_at(&mut [IoSlice::new(&vec![2; 20 * PAGE])], PAGE as u64).unwrap();
        disk.crash();
        disk.files()
    };
    assert_eq!(run(), run());
}
