export { BLOB_CHUNK_BYTES, type BlobRef, type BlobStore, type BlobWriter, type OwnedBlobs } from "./blobs.ts";
export { Drafts } from "./drafts.ts";
export { type FileBlobs, openFileBlobs } from "./file-blobs.ts";
export { decodeObjectValue, encodeObjectValue, INLINE_MAX_BYTES, type ObjectValue, objectSize } from "./object-record.ts";
export { ObjectStore, type StoredObject } from "./object-store.ts";
export { blobPieces, inPieces, receive } from "./receive.ts";
