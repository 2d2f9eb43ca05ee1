/// What a snapshot consists of.
package struct SnapshotManifest: Hashable, Sendable {
}
