package import TenonCore

/// A change of the cluster that an operator, or a node that joins, asks of the directory's leader.
/// It is carried out as one transaction on tablet 1: done or not done, and once only.
package enum DirectoryOrder: Hashable, Sendable {
    /// A new node: it gets a number that no node had. The same folder under the same name gets
    /// the same number again, so that a join whose answer was lost can be repeated. The replicas of
    /// a witness have no data (Rule C7).
    case join(
        name: String, address: String, locality: String, folder: FolderID, isWitness: Bool = false)
    /// Leads nothing from now on; its replicas stay.
    case drain(node: String)
    /// Undoes a drain or a removal that is not complete.
    case undrain(node: String)
    /// Its replicas are made again elsewhere, then its record goes. With `replacement` they go
    /// there, where possible.
    case remove(node: String, replacement: String?)
    /// What the settings do not say is as by default.
    case createKeyspace(name: String, KeyspaceSettings)
    /// What the settings do not say stays as it is.
    case alterKeyspace(name: String, KeyspaceSettings)
    case dropKeyspace(name: String)
    /// Moves a tablet's replica from one node to another.
    case moveReplica(TabletID, from: String, to: String)
    /// Makes two tablets of one: the new one begins at a key.
    case splitTablet(TabletID, at: Bytes)

    /// Layout: kind 1 · fields in the order of the case.
    package func encode(to writer: inout ByteWriter) {
        switch self {
        case .join(let name, let address, let locality, let folder, let isWitness):
            writer.uint8(1)
            writer.lengthPrefixed(name)
            writer.lengthPrefixed(address)
            writer.lengthPrefixed(locality)
            writer.identifier(folder)
            writer.flag(isWitness)
        case .drain(let node):
            writer.uint8(2)
            writer.lengthPrefixed(node)
        case .undrain(let node):
            writer.uint8(3)
            writer.lengthPrefixed(node)
        case .remove(let node, let replacement):
            writer.uint8(4)
            writer.lengthPrefixed(node)
            writer.lengthPrefixed(replacement ?? "")
        case .createKeyspace(let name, let settings):
            writer.uint8(5)
            writer.lengthPrefixed(name)
            settings.encode(to: &writer)
        case .alterKeyspace(let name, let settings):
            writer.uint8(8)
            writer.lengthPrefixed(name)
            settings.encode(to: &writer)
        case .dropKeyspace(let name):
            writer.uint8(6)
            writer.lengthPrefixed(name)
        case .moveReplica(let tablet, let from, let to):
            writer.uint8(7)
            writer.identifier(tablet)
            writer.lengthPrefixed(from)
            writer.lengthPrefixed(to)
        case .splitTablet(let tablet, let key):
            writer.uint8(40)
            writer.identifier(tablet)
            writer.lengthPrefixed(key)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.uint8()
        switch kind {
        case 1:
            self = .join(
                name: try reader.name(),
                address: try reader.lengthPrefixedText("address", atMost: Limits.addressBytesMax),
                locality: try reader.lengthPrefixedText(
                    "locality", atMost: Limits.localityBytesMax),
                folder: try reader.identifier(FolderID.self),
                isWitness: try reader.flag("witness"))
        case 2: self = .drain(node: try reader.name())
        case 3: self = .undrain(node: try reader.name())
        case 4:
            let node = try reader.name()
            let replacement = try reader.name()
            self = .remove(node: node, replacement: replacement.isEmpty ? nil : replacement)
        case 5:
            self = .createKeyspace(
                name: try reader.name(), try KeyspaceSettings(from: &reader))
        case 8:
            self = .alterKeyspace(
                name: try reader.name(), try KeyspaceSettings(from: &reader))
        case 6: self = .dropKeyspace(name: try reader.name())
        case 7:
            let tablet = try reader.identifier(TabletID.self)
            self = .moveReplica(tablet, from: try reader.name(), to: try reader.name())
        case 40:
            let tablet = try reader.identifier(TabletID.self)
            self = .splitTablet(tablet, at: try reader.key())
        default: throw .unknownKind(field: "directory order", value: UInt64(kind))
        }
    }
}

extension ByteReader {
    fileprivate mutating func name() throws(DecodingError) -> String {
        try lengthPrefixedText("name", atMost: Limits.nameBytesMax)
    }
}
