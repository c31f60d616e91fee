{{ credit_by(['channel', 'source', 'medium', 'campaign']) }}
