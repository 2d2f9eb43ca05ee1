internal import TenonCore

/// A segment's file, read from its start on, a piece at a time: opening a log takes the memory of a
/// piece, or of the largest batch, and not that of a segment, whose fresh pages would cost more
/// processor time than what is read into them.
struct SegmentPieces {
    /// How far the file is looked at.
    let end: Int
    private let file: any File
    private var piece: [UInt8] = []
    private var start = 0

    private static let pieceBytes = 1 << 20

    /// - Parameter limit: how many bytes of the file are looked at, at the most.
    init(of file: any File, limit: Int) throws(LogError) {
        self.file = file
        do throws(FileError) { end = min(limit, try file.size()) } catch { throw .failed(error) }
    }

    /// Where `count` bytes at `offset` lie in memory; those after the end are missing.
    mutating func bytes(
        at offset: Int, count: Int
    ) throws(LogError) -> (piece: [UInt8], place: Int) {
        let wanted = min(offset + count, end)
        if offset < start || wanted > start + piece.count {
            let length = min(max(count, SegmentPieces.pieceBytes), end - offset)
            do throws(FileError) {
                piece = try file.read(at: offset, count: length)
            } catch {
                throw .failed(error)
            }
            start = offset
        }
        return (piece, offset - start)
    }

    /// The header at `offset`, when there is a whole one and its batch ends before the end, with the
    /// bytes of the batch, which begins at `place` in them; its body may still be damaged.
    mutating func batch(
        at offset: Int
    ) throws(LogError) -> (header: BatchHeader, piece: [UInt8], place: Int)? {
        let block = try bytes(at: offset, count: Block.bytes)
        guard
            let length = BatchHeader.batchBytes(announcedIn: block.piece, at: block.place),
            offset + length <= end
        else { return nil }
        let (piece, place) = try bytes(at: offset, count: length)
        return BatchHeader(decoding: piece, at: place).map { ($0, piece, place) }
    }
}
