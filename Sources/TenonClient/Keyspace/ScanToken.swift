public import TenonCore

/// Where a scan goes on. Opaque; good for the same range, direction and version only.
///
/// Layout: format 1 (1) · kind 1, then
/// ```
/// kind 1, a tablet's border: key             forward: go on at it; backward: go on below it
/// kind 2, within a tablet: tablet 8 · token  the node's own token, which holds key and version
/// ```
public struct ScanToken: Hashable, Sendable {
    enum Place: Hashable, Sendable {
        case border(Bytes)
        case within(TabletID, token: Bytes)
    }

    let place: Place

    init(_ place: Place) { self.place = place }

    private static let format: UInt8 = 1
    private static let borderKind: UInt8 = 1
    private static let withinKind: UInt8 = 2

    /// The token that ``bytes`` gave.
    ///
    /// - Throws: ``TenonError/Kind/invalid`` when these bytes are no token.
    public init(bytes: Bytes) throws(TenonError) {
        do {
            self.init(try ScanToken.decode(bytes))
        } catch {
            throw TenonError(.invalid, .notApplied, "this is no page token of a scan")
        }
    }

    /// The token for another process to go on with.
    public var bytes: Bytes {
        var writer = ByteWriter(capacity: 32)
        writer.uint8(ScanToken.format)
        switch place {
        case .border(let key):
            writer.uint8(ScanToken.borderKind)
            writer.raw(key)
        case .within(let tablet, let token):
            writer.uint8(ScanToken.withinKind)
            writer.identifier(tablet)
            writer.raw(token)
        }
        return Bytes(writer.take())
    }

    private static func decode(_ bytes: Bytes) throws(DecodingError) -> Place {
        var reader = ByteReader(bytes)
        guard try reader.uint8() == format else { throw .malformed("format of a page token") }
        let kind = try reader.uint8()
        switch kind {
        case borderKind: return .border(reader.rest())
        case withinKind:
            return .within(try reader.identifier(TabletID.self), token: reader.rest())
        default: throw .unknownKind(field: "page token", value: UInt64(kind))
        }
    }
}
