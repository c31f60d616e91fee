{{ credit_by(['channel']) }}
