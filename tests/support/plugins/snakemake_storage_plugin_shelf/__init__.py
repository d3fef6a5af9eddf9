"""A storage provider for tests: shelf:///data/file.zip is the file /data/file.zip."""

import shutil
from pathlib import Path

from snakemake_interface_storage_plugins.storage_object import StorageObjectRead
from snakemake_interface_storage_plugins.storage_provider import (
    StorageProviderBase,
    StorageQueryValidationResult,
)


class StorageProvider(StorageProviderBase):
    @classmethod
    def example_queries(cls):
        return []

    def rate_limiter_key(self, query, operation):
        return None

    def default_max_requests_per_second(self):
        return 100

    def use_rate_limiter(self):
        return False

    @classmethod
    def is_valid_query(cls, query):
        return StorageQueryValidationResult(query, str(query).startswith("shelf://"))

    def list_objects(self, query):
        return []


class StorageObject(StorageObjectRead):
    @property
    def path(self):
        return Path(str(self.query).removeprefix("shelf://"))

    def local_suffix(self):
        return str(self.path).lstrip("/")

    async def inventory(self, cache):
        pass

    def get_inventory_parent(self):
        return None

    def cleanup(self):
        pass

    def exists(self):
        return self.path.exists()

    def mtime(self):
        return self.path.stat().st_mtime

    def size(self):
        return self.path.stat().st_size

    def retrieve_object(self):
        shutil.copy(self.path, self.local_path())
