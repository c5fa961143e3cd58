//! Copying the data of one volume into another.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptionsBuilder;

use super::{Docker, DockerError, Patience};
use crate::runtime::Names;

/// Where the other volume is, for as long as it is copied.
pub(super) const FROM: &str = "/convex/from";

/// Copies what a backend needs, into a volume that nobody uses. The name of the
/// instance, its secret and what is noted of the deployment are not copied. The
/// mark in the credentials' directory says until the end that it is not done,
/// so that a copy that broke off is begun anew.
const COPY: &str = r#"set -e
from=$1 volume=$2 to=/convex/data
record=$from/credentials/deployment.json
if grep -Eq '"database_kind":"(postgresql|mysql)"' "$record" 2>/dev/null; then
  echo "its documents are on a database server, and not in it"; exit 3
fi
if grep -q '"storage_kind":"s3"' "$record" 2>/dev/null; then
  echo "its files are in S3, and not in it"; exit 3
fi
[ -f "$from/db.sqlite3" ] || { echo "it has no db.sqlite3, so it is no volume of a deployment on SQLite"; exit 3; }
umask 077
mkdir -p "$to/credentials"
printf 'begun %s' "$volume" > "$to/credentials/restore"
sync
find "$to" -mindepth 1 -maxdepth 1 ! -name credentials -exec rm -rf {} +
find "$from" -mindepth 1 -maxdepth 1 ! -name credentials ! -name tmp ! -name snapshots ! -name 'db.sqlite3.aside.*' \
  -exec cp -a {} "$to/" \;
if [ -f "$from/credentials/releases.json" ]; then cp "$from/credentials/releases.json" "$to/credentials/"; fi
sync
printf 'done %s' "$volume" > "$to/credentials/restore.part"
mv "$to/credentials/restore.part" "$to/credentials/restore""#;

impl Docker {
    /// Copies the data in the volume `source` into the deployment's own, which
    /// must be there and which nobody may be using.
    pub async fn copy_volume(
        &self,
        patience: &Patience,
        names: &Names,
        image: &str,
        source: &str,
    ) -> Result<(), DockerError> {
        let arguments = ["-c", COPY, "sh", FROM, source];
        self.run_on_volume(patience, names, image, Some(source), &arguments)
            .await
            .map(drop)
    }

    /// The name of a running container that uses a volume, should there be one.
    pub async fn user_of_volume(
        &self,
        patience: &Patience,
        volume: &str,
    ) -> Result<Option<String>, DockerError> {
        let filters = HashMap::from([
            ("volume".to_owned(), vec![volume.to_owned()]),
            ("status".to_owned(), vec!["running".to_owned()]),
        ]);
        let options = ListContainersOptionsBuilder::new()
            .filters(&filters)
            .build();
        let request = self.client.list_containers(Some(options));
        let found = self.call(patience, "list containers", request).await?;
        let names = found
            .into_iter()
            .filter_map(|it| it.names?.into_iter().next());
        Ok(names.map(|it| it.trim_start_matches('/').to_owned()).next())
    }
}
