package import TenonCore

/// What a frame is about. One number space for clients and peers; a number is never reused.
package enum FrameKind: UInt8, Sendable, Hashable {
    /// Client → node: ``ClientHello``.
    case clientHello = 1
    /// Node → client: ``ServerWelcome``.
    case serverWelcome = 2
    /// Client → node: ``Request``.
    case request = 3
    /// Node → client: ``Answer`` to the request with the frame's id.
    case answer = 4
    /// Either way: ``Goodbye``, the reason why the connection ends.
    case goodbye = 5
    /// Peer → peer: ``PeerHello``, sent by the one that connects.
    case peerHello = 16
    /// Peer → peer: ``PeerHello`` of the one that accepted.
    case peerWelcome = 17
    /// Peer → peer: opaque node-level messages, consensus among them.
    case peerMessages = 18
    /// Peer → peer on a bulk stream: opaque pieces of a snapshot.
    case peerBulk = 19
}

/// The unit of the wire.
///
/// Layout, little-endian:
/// ```
/// length 4      bytes after this field: 13 + body
/// checksum 4    CRC-32C of what follows it
/// kind 1
/// request id 8  0 where a kind has none
/// body
/// ```
package struct Frame: Hashable, Sendable {
    package var kind: FrameKind
    package var id: RequestID
    package var body: Bytes

    package init(kind: FrameKind, id: RequestID = RequestID(0), body: Bytes) {
        self.kind = kind
        self.id = id
        self.body = body
    }

    /// Bytes before the body.
    package static let headerBytes = 17
    /// What the length field counts besides the body.
    static let countedHeaderBytes = 13
}

extension ByteWriter {
    /// Appends a frame whose body is what `write` appends.
    package mutating func frame(
        _ kind: FrameKind, id: RequestID = RequestID(0), _ write: (inout ByteWriter) -> Void
    ) {
        let start = count
        uint64(0)  // length and checksum, patched below
        uint8(kind.rawValue)
        identifier(id)
        write(&self)
        let counted = count - start - 4
        precondition(
            counted <= Limits.frameBytesMax + Frame.countedHeaderBytes,
            "a frame of \(counted) B, over \(Limits.frameBytesMax)")
        patch(uint32: UInt32(counted), at: start)
        let checksum = CRC32C(bytes, in: start + 8..<count)
        patch(uint32: checksum.rawValue, at: start + 4)
    }
}

/// Why a stream of bytes is not a stream of frames. The connection is closed: there is no telling
/// where the next frame begins.
package enum FrameError: Error, Hashable, Sendable {
    /// The length is over ``Limits/frameBytesMax`` or under a header.
    case badLength(Int)
    case badChecksum
    case unknownKind(UInt8)
}

/// Cuts a stream of bytes into frames.
///
/// Holds at most one frame that is not whole yet: memory is bounded by
/// ``Limits/frameBytesMax`` and one chunk.
package struct FrameDecoder: Sendable {
    private var buffer: [UInt8] = []
    private var offset = 0
    private var frameBytesMax: Int

    package init(frameBytesMax: Int = Limits.frameBytesMax) { self.frameBytesMax = frameBytesMax }

    /// From now on takes frames of every length: the other end is known.
    package mutating func admitLongFrames() { frameBytesMax = Limits.frameBytesMax }

    /// Bytes that wait for the rest of their frame.
    package var pendingBytes: Int { buffer.count - offset }

    /// Takes the next bytes of the stream.
    package mutating func append(_ chunk: [UInt8]) {
        if offset == buffer.count {
            buffer = chunk
        } else {
            if offset > 0 { buffer.removeSubrange(0..<offset) }
            buffer.append(contentsOf: chunk)
        }
        offset = 0
    }

    /// The next whole frame, which shares the chunk's memory; nil until more bytes come.
    package mutating func next() throws(FrameError) -> Frame? {
        guard pendingBytes >= 4 else { return nil }
        var reader = ByteReader(buffer, in: offset..<buffer.count)
        do {
            let length = Int(try reader.uint32())
            guard
                length >= Frame.countedHeaderBytes,
                length <= frameBytesMax + Frame.countedHeaderBytes
            else { throw FrameError.badLength(length) }
            guard reader.remaining >= length else { return nil }
            let checksum = CRC32C(rawValue: try reader.uint32())
            let content = reader.position..<reader.position + length - 4
            guard CRC32C(buffer, in: content) == checksum else { throw FrameError.badChecksum }
            let kindByte = try reader.uint8()
            guard let kind = FrameKind(rawValue: kindByte) else {
                throw FrameError.unknownKind(kindByte)
            }
            let id = try reader.identifier(RequestID.self)
            let body = try reader.bytes(content.upperBound - reader.position)
            offset = content.upperBound
            return Frame(kind: kind, id: id, body: body)
        } catch let error as FrameError {
            throw error
        } catch {
            preconditionFailure("a frame of checked length was too short: \(error)")
        }
    }
}
