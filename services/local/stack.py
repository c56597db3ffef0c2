# TEMPORARY dev stub
def running(): return None
def temporary_postgres(): raise NotImplementedError
class Stack: pass
class StackInfo: pass
def up(r): pass
def down(): pass
def status(): pass
