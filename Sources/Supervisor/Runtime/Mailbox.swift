import POSIX
import Synchronization

/// What other threads have to say to the loop's thread, in order.
final class Mailbox<Message: Sendable>: Sendable {
  private let messages = Mutex<[Message]>([])
  private let wakeUp: WakeUp

  init() throws(POSIXError) { wakeUp = try WakeUp() }

  var descriptor: CInt { wakeUp.descriptor }

  func post(_ message: Message) {
    let wasEmpty = messages.withLock { messages in
      messages.append(message)
      return messages.count == 1
    }
    // Whoever finds it empty wakes the loop; the others ride along.
    if wasEmpty { wakeUp.signal() }
  }

  /// All messages so far.
  func drain() -> [Message] {
    wakeUp.acknowledge()
    return messages.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }
}
