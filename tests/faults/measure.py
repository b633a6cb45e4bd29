async def measurements():
    return []
