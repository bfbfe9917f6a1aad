"""Who asks, and what they may: tokens, sessions, a proxy's word; rates; redaction; the audit log."""
