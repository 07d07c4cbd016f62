import hashlib
def placed(options, answer_index, key):
    h=hashlib.blake2b(key.encode(),digest_size=8).digest(); n=int.from_bytes(h)%len(options)
    rest=[o for i,o in enumerate(options) if i!=answer_index]
    rest.insert(n, options[answer_index]); return rest, "ABCDEFGH"[n]
