import TenonCore
import TenonWire

/// A client's connection as the node sees it: answers in the making, and how many requests wait.
///
/// A class, so that a waiting request reaches its connection without a look-up.
final class ClientConnection {
    let id: ConnectionID
    /// Whole frames of this turn.
    private(set) var output = ByteWriter()
    /// Requests that have no answer yet.
    private(set) var waiting = 0
    /// False once the client is gone: answers go nowhere.
    private(set) var isOpen = true

    init(id: ConnectionID) { self.id = id }

    func began() { waiting += 1 }

    /// Appends the answer to a request. Returns whether it is the first output of this turn.
    func answer(_ request: RequestID, _ answer: Answer) -> Bool {
        precondition(waiting > 0, "an answer to request \(request) that nobody waits for")
        waiting -= 1
        guard isOpen else { return false }
        let isFirst = output.isEmpty
        output.frame(.answer, id: request) { answer.encode(to: &$0) }
        return isFirst
    }

    /// Appends a frame that answers no request. Returns whether it is the first of this turn.
    func send(_ kind: FrameKind, _ write: (inout ByteWriter) -> Void) -> Bool {
        guard isOpen else { return false }
        let isFirst = output.isEmpty
        output.frame(kind, write)
        return isFirst
    }

    func takeOutput() -> [UInt8] { output.take() }

    func close() {
        isOpen = false
        output.removeAll()
    }
}
