//! What lies in a bucket, looked at from behind the server.

use std::path::{Path, PathBuf};

use super::until;

/// A bucket of the embedded S3 server, or of the destination on disk: a directory.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    path: PathBuf,
}

/// An object that became visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectFile {
    pub(crate) key: String,
    pub(crate) bytes: Vec<u8>,
}

impl Bucket {
    /// The bucket `name` beneath `root`.
    pub(crate) fn new(root: &Path, name: &str) -> Self {
        Self { path: root.join(name) }
    }

    /// Keys that begin with `prefix`, sorted.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        collect(&self.path, &self.path, &mut keys);
        keys.retain(|key| key.starts_with(prefix));
        keys.sort_unstable();
        keys
    }

    /// Objects whose keys begin with `prefix`, in the order of the keys.
    pub(crate) fn objects(&self, prefix: &str) -> Vec<ObjectFile> {
        let keys = self.keys(prefix).into_iter();
        keys.map(|key| ObjectFile { bytes: std::fs::read(self.path.join(&key)).expect("an object"), key }).collect()
    }

    /// The one object whose key begins with `prefix`.
    #[track_caller]
    pub(crate) fn only(&self, prefix: &str) -> ObjectFile {
        let mut objects = self.objects(prefix);
        assert_eq!(objects.len(), 1, "{:?}", self.keys(prefix));
        objects.remove(0)
    }

    /// Waits until there are at least `count` objects under `prefix`.
    pub(crate) async fn wait_for(&self, prefix: &str, count: usize) -> Vec<ObjectFile> {
        let what = format!("{count} objects under {prefix}");
        until(&what, || std::future::ready((self.keys(prefix).len() >= count).then(|| self.objects(prefix)))).await
    }

    /// The text of all objects under `prefix`, in the order of their first lines.
    pub(crate) fn lines(&self, prefix: &str) -> Vec<String> {
        let text = |object: &ObjectFile| String::from_utf8(object.bytes.clone()).expect("text");
        self.objects(prefix)
            .iter()
            .flat_map(|object| text(object).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

fn collect(path: &Path, root: &Path, keys: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, root, keys);
        } else {
            keys.push(path.strip_prefix(root).expect("below the root").display().to_string());
        }
    }
}
