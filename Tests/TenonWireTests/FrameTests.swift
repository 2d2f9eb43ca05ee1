import TenonCore
import Testing

@testable import TenonWire

@Suite("Frame")
struct FrameTests {
    private func stream(_ bodies: [String]) -> [UInt8] {
        var writer = ByteWriter()
        for (place, body) in bodies.enumerated() {
            writer.frame(.request, id: RequestID(UInt64(place + 1))) { $0.raw(Bytes(body)) }
        }
        return writer.take()
    }

    private func drain(_ decoder: inout FrameDecoder) throws -> [Frame] {
        var frames: [Frame] = []
        while let frame = try decoder.next() { frames.append(frame) }
        return frames
    }

    @Test func `its bytes are those of the first version`() {
        let bytes = stream(["ab"])
        #expect(Array(bytes[0..<4]) == [15, 0, 0, 0])
        #expect(Array(bytes[8...]) == [3, 1, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x62])
        #expect(CRC32C(bytes, in: 8..<bytes.count).rawValue == 0xCE3A_FD0B)
        #expect(Array(bytes[4..<8]) == [0x0B, 0xFD, 0x3A, 0xCE])
    }

    @Test func `a stream cut at any two places gives the same frames`() throws {
        let bodies = ["first", "", "the third one"]
        let bytes = stream(bodies)
        for first in 0...bytes.count {
            for second in stride(from: first, through: bytes.count, by: 7) {
                var decoder = FrameDecoder()
                var frames: [Frame] = []
                for piece in [bytes[..<first], bytes[first..<second], bytes[second...]] {
                    decoder.append(Array(piece))
                    frames += try drain(&decoder)
                }
                #expect(frames.map(\.body) == bodies.map { Bytes($0) })
                #expect(decoder.pendingBytes == 0)
            }
        }
    }

    @Test func `a flipped bit is found or leaves the frame unfinished, never another frame`() {
        let bytes = stream(["some body"])
        for place in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[place] ^= 1 << UInt8(bit)
                var decoder = FrameDecoder()
                decoder.append(flipped)
                do {
                    let frame = try decoder.next()
                    #expect(frame == nil, "byte \(place), bit \(bit) went unnoticed")
                } catch {
                    #expect(error != .unknownKind(3))
                }
            }
        }
    }

    @Test func `a length over the bound is refused before its bytes are waited for`() {
        var decoder = FrameDecoder(frameBytesMax: 100)
        decoder.append([114, 0, 0, 0])
        #expect(throws: FrameError.badLength(114)) { try decoder.next() }
        var short = FrameDecoder()
        short.append([12, 0, 0, 0])
        #expect(throws: FrameError.badLength(12)) { try short.next() }
    }

    @Test func `a long frame is taken once the other end is known`() throws {
        let bytes = stream([String(repeating: "x", count: 500)])
        var decoder = FrameDecoder(frameBytesMax: 100)
        decoder.admitLongFrames()
        decoder.append(bytes)
        #expect(try decoder.next()?.body.count == 500)
    }

    @Test func `an unknown kind is refused`() {
        var writer = ByteWriter()
        writer.frame(.goodbye) { _ in }
        var bytes = writer.take()
        bytes[8] = 200
        var fixed = ByteWriter(appendingTo: bytes)
        fixed.patch(uint32: CRC32C(bytes, in: 8..<bytes.count).rawValue, at: 4)
        var decoder = FrameDecoder()
        decoder.append(fixed.take())
        #expect(throws: FrameError.unknownKind(200)) { try decoder.next() }
    }
}
