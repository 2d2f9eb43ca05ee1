internal import TenonCore
internal import TenonWire

extension Dispatch {
    /// Encodes a call into its link's outbox. A write gets its session at its first sending:
    /// only then is the cluster's time known.
    mutating func send(_ place: Int, _ header: RequestHeader, on link: Int, at now: Instant) {
        let id = pending.id(at: place)
        switch pending[place].call.work {
        case .write(let operation):
            guard
                let session = pending[place].session
                    ?? sessions.open(firstIssue: clock.estimate(at: now))
            else {
                complete(place, .failure(Dispatch.windowIsFull))
                return
            }
            pending[place].session = session
            let command = Command(operation: operation, session: session)
            links[link].outbox.frame(.request, id: id) { writer in
                Request.encode(write: command, header: header, to: &writer)
            }
        case .ask(let body):
            let request = Request(header: header, body: body)
            links[link].outbox.frame(.request, id: id) { writer in request.encode(to: &writer) }
        }
        pending[place].stage = .sent(link: link)
        hasSent(on: link, at: now)
    }

    /// Asks a silent node for a sign of life; the answer is worth having too.
    mutating func ping(_ link: Int, at now: Instant) {
        let request = Request(
            header: RequestHeader(
                epoch: epoch, timeoutMilliseconds: 1_000, tablet: .directory, generation: .first),
            body: .describe)
        links[link].outbox.frame(.request, id: Dispatch.pingID) { writer in
            request.encode(to: &writer)
        }
        hasSent(on: link, at: now)
    }

    private mutating func hasSent(on link: Int, at now: Instant) {
        links[link].sent(at: now)
        if effects.flushes.last != link { effects.flushes.append(link) }
        wakeNoLater(than: now + Dispatch.watchInterval)
    }

    private static var windowIsFull: TenonError {
        TenonError(
            .overloaded, .notApplied,
            "a write that waits holds back \(SessionAllocator.windowMax) others",
            retryAfter: .milliseconds(100))
    }
}
